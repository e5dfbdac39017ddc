"""Scoring a network on mosaics of textures that were held out from training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import keras
import numpy as np
from numpy.typing import NDArray

from model.data.mosaics import Mosaic, MosaicConfig, draw_mosaic, remove_pixels
from model.data.nodata import PATTERNS
from model.data.textures import CLASSES, load_textures
from model.metrics import confusion_matrix
from model.scoring.scores import MISSING_FRACTIONS, Score

SCORED_DATA = "mosaics of textures held out from training"
"""Description of the mosaics, for the manifest."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Configuration of the mosaics that a network is scored on.

    Attributes:
        mosaics: number for each pattern of missing pixels.
        size: height and width of a mosaic in pixels.
        batch_size: number of mosaics in a batch.
        seed: of the mosaics and of their missing pixels.
    """

    mosaics: int = 48
    size: tuple[int, int] = (160, 160)
    batch_size: int = 16
    seed: int = 1


def score_on_mosaics(
    network: keras.Model,
    config: EvaluationConfig | None = None,
    on_batch: Callable[[], None] = lambda: None,
) -> list[Score]:
    """Score a network on mosaics of the test textures.

    Every fraction uses the same mosaics, divided evenly between the patterns of missing pixels.

    Args:
        network: from `build_network`, with as many classes as there are textures.
        config: of the mosaics.
        on_batch: called after each batch.
    """
    config = config or EvaluationConfig()
    scores = []
    for fraction in MISSING_FRACTIONS:
        mosaics = list(_draw_test_mosaics(config, fraction))
        confusion = count_confusion(network, mosaics, config.batch_size, on_batch)
        scores.append(Score(fraction, confusion))
    return scores


def count_confusion(
    network: keras.Model,
    mosaics: Sequence[Mosaic],
    batch_size: int,
    on_batch: Callable[[], None] = lambda: None,
) -> NDArray[np.int64]:
    """Count the valid pixels of all mosaics by true and predicted class, int64 (K, K).

    Args:
        network: from `[image, mask]` to logits.
        mosaics: of one size.
        batch_size: number of mosaics in a batch.
        on_batch: called after each batch.
    """
    confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for start in range(0, len(mosaics), batch_size):
        batch = mosaics[start : start + batch_size]
        truth = np.stack([mosaic.labels for mosaic in batch])
        confusion += confusion_matrix(truth, _predict(network, batch), len(CLASSES))
        on_batch()
    return confusion


def count_batches(config: EvaluationConfig) -> int:
    """Return the number of times that `score_on_mosaics` calls `on_batch`."""
    return len(MISSING_FRACTIONS) * -(-len(PATTERNS) * config.mosaics // config.batch_size)


def _draw_test_mosaics(config: EvaluationConfig, fraction: float) -> Iterator[Mosaic]:
    scenes = draw_complete_mosaics(config)
    rng = np.random.default_rng([config.seed, 1])
    for pattern in PATTERNS.values():
        for mosaic in islice(scenes, config.mosaics):
            yield remove_pixels(mosaic, pattern(rng, config.size, fraction))


def draw_complete_mosaics(config: EvaluationConfig) -> Iterator[Mosaic]:
    """Yield complete mosaics of the test textures without end; the same for the same seed."""
    textures = load_textures("test")
    drawing = MosaicConfig(size=config.size, zoom=(1.0, 1.0), complete=1.0)
    rng = np.random.default_rng([config.seed, 0])
    while True:
        yield draw_mosaic(rng, textures, drawing)


def _predict(network: keras.Model, batch: Sequence[Mosaic]) -> NDArray[np.int64]:
    images = np.stack([mosaic.image for mosaic in batch]).astype(np.float32)
    masks = np.stack([mosaic.mask for mosaic in batch])[..., None]
    return np.asarray(network.predict_on_batch([images, masks])).argmax(axis=-1)
