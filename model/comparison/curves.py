"""Score of a network against the fraction of missing pixels, for each pattern."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import keras
import numpy as np

from model.data.mosaics import Mosaic, remove_pixels
from model.data.nodata import PATTERNS_TO_COMPARE
from model.scoring.mosaics import EvaluationConfig, count_confusion, draw_complete_mosaics
from model.scoring.scores import Score

FRACTIONS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)

Curves = Mapping[str, tuple[float, ...]]
"""Mean IoU at each of the fractions, by pattern."""


def measure_curves(
    network: keras.Model,
    config: EvaluationConfig | None = None,
    fractions: Sequence[float] = FRACTIONS,
    on_batch: Callable[[], None] = lambda: None,
) -> Curves:
    """Score a network on the same mosaics of the test textures for every pattern and fraction.

    Args:
        network: from `[image, mask]` to logits, with as many classes as there are textures.
        config: of the mosaics.
        fractions: of missing pixels, 0 to 1; the first is 0, where all patterns are the same.
        on_batch: called after each batch.

    Raises:
        ValueError: if the first fraction is not 0.
    """
    complete, *rest = fractions
    if complete:
        raise ValueError(f"`fractions` must begin with 0. Received: {fractions}")
    config = config or EvaluationConfig()
    scenes = list(islice(draw_complete_mosaics(config), config.mosaics))

    def score(missing: float, mosaics: Sequence[Mosaic]) -> float:
        confusion = count_confusion(network, mosaics, config.batch_size, on_batch)
        return Score(missing, confusion).mean_iou

    best = score(0.0, scenes)
    return {
        name: (best, *(score(fraction, _lose(scenes, name, fraction, config)) for fraction in rest))
        for name in PATTERNS_TO_COMPARE
    }


def _lose(
    scenes: Sequence[Mosaic], name: str, fraction: float, config: EvaluationConfig
) -> list[Mosaic]:
    """Take pixels out of each scene: the same pattern, in the same place, at every fraction."""
    pattern, stream = PATTERNS_TO_COMPARE[name], list(PATTERNS_TO_COMPARE).index(name)
    return [
        remove_pixels(
            scene,
            pattern(np.random.default_rng([config.seed, 2, stream, index]), config.size, fraction),
        )
        for index, scene in enumerate(scenes)
    ]


def count_curve_batches(config: EvaluationConfig, fractions: Sequence[float] = FRACTIONS) -> int:
    """Return the number of times that `measure_curves` calls `on_batch`."""
    rounds = 1 + len(PATTERNS_TO_COMPARE) * (len(fractions) - 1)
    return rounds * -(-config.mosaics // config.batch_size)
