"""Score of a network against the fraction of missing pixels, for each pattern."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import keras
import numpy as np

from model.data.mosaics import Mosaic, remove_pixels
from model.data.nodata import PATTERNS_TO_COMPARE, BoolMap
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
    config = config or EvaluationConfig()
    scenes = list(islice(draw_complete_mosaics(config), config.mosaics))

    def score(missing: float, mosaics: Sequence[Mosaic]) -> float:
        confusion = count_confusion(network, mosaics, config.batch_size, on_batch)
        return Score(missing, confusion).mean_iou

    return draw_curves(
        lambda: score(0.0, scenes),
        lambda name, fraction: score(fraction, _lose(scenes, name, fraction, config)),
        fractions,
    )


def draw_curves(
    score_complete: Callable[[], float],
    score: Callable[[str, float], float],
    fractions: Sequence[float],
) -> Curves:
    """Score each pattern at each fraction, and what is complete once for all patterns.

    Args:
        score_complete: returns the mean IoU where no pixel is taken out.
        score: returns it for the name of a pattern and a fraction.
        fractions: of missing pixels, 0 to 1; the first is 0.

    Raises:
        ValueError: if the first fraction is not 0.
    """
    complete, *rest = fractions
    if complete:
        raise ValueError(f"`fractions` must begin with 0. Received: {fractions}")
    best = score_complete()
    return {
        name: (best, *(score(name, fraction) for fraction in rest)) for name in PATTERNS_TO_COMPARE
    }


def _lose(
    scenes: Sequence[Mosaic], name: str, fraction: float, config: EvaluationConfig
) -> list[Mosaic]:
    """Take pixels out of each scene: the same pattern, in the same place, at every fraction."""
    return [
        remove_pixels(scene, place_missing(name, config.size, fraction, config.seed, index))
        for index, scene in enumerate(scenes)
    ]


def place_missing(
    name: str, size: tuple[int, int], fraction: float, seed: int, index: int
) -> BoolMap:
    """Return the pixels that an image loses, in the same place at every fraction.

    Args:
        name: of the pattern.
        size: height and width of the image in pixels.
        fraction: of missing pixels, 0 to 1.
        seed: of the places.
        index: of the image; each has places of its own.

    Returns:
        bool (H, W), True = missing.
    """
    stream = list(PATTERNS_TO_COMPARE).index(name)
    rng = np.random.default_rng([seed, 2, stream, index])
    return PATTERNS_TO_COMPARE[name](rng, size, fraction)


def count_curve_batches(config: EvaluationConfig, fractions: Sequence[float] = FRACTIONS) -> int:
    """Return the number of times that `measure_curves` calls `on_batch`."""
    return count_rounds(fractions) * -(-config.mosaics // config.batch_size)


def count_rounds(fractions: Sequence[float] = FRACTIONS) -> int:
    """Return the number of times that all images are scored for their curves."""
    return 1 + len(PATTERNS_TO_COMPARE) * (len(fractions) - 1)
