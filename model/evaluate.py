"""How well a network does on textures it never saw, the more pixels are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model.data.mosaics import Mosaic, MosaicConfig, draw_mosaic, lose_pixels
from model.data.nodata import PATTERNS
from model.data.textures import CLASSES, load_textures
from model.metrics import class_iou, confusion_matrix

SCORES_FILE = "scores.json"
MISSING_FRACTIONS = (0.0, 0.3, 0.6)


@dataclass(frozen=True)
class EvaluationConfig:
    """What a network is scored on.

    Attributes:
        mosaics: how many are drawn for each pattern of missing pixels.
        size: their height and width in pixels.
        batch_size: how many go through the network at once.
        seed: of the mosaics, and of what is missing in them.
    """

    mosaics: int = 48
    size: tuple[int, int] = (160, 160)
    batch_size: int = 16
    seed: int = 1


@dataclass(frozen=True)
class Score:
    """What was reached at one fraction of missing pixels.

    Attributes:
        missing: the fraction.
        class_iou: intersection over union of each class, over valid pixels.
    """

    missing: float
    class_iou: tuple[float, ...]

    @property
    def mean_iou(self) -> float:
        """Mean over the classes."""
        return float(np.nanmean(self.class_iou))


def evaluate(
    network: keras.Model,
    config: EvaluationConfig | None = None,
    missing: Sequence[float] = MISSING_FRACTIONS,
    on_batch: Callable[[], None] = lambda: None,
) -> list[Score]:
    """Score a network on mosaics of the test textures.

    The same mosaics are used at every fraction; each pattern of missing pixels has its share.

    Args:
        network: from `build_network`, with as many classes as there are textures.
        config: what to score on.
        missing: the fractions, 0 to 1.
        on_batch: called after each batch.
    """
    config = config or EvaluationConfig()
    scores = []
    for fraction in missing:
        mosaics = list(_draw_test_mosaics(config, fraction))
        scores.append(Score(fraction, score_mosaics(network, mosaics, config.batch_size, on_batch)))
    return scores


def score_mosaics(
    network: keras.Model,
    mosaics: Sequence[Mosaic],
    batch_size: int,
    on_batch: Callable[[], None] = lambda: None,
) -> tuple[float, ...]:
    """Give the intersection over union of each class, over the valid pixels of all mosaics.

    Args:
        network: from `[image, mask]` to logits.
        mosaics: of one size.
        batch_size: how many go through the network at once.
        on_batch: called after each batch.
    """
    confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for start in range(0, len(mosaics), batch_size):
        batch = mosaics[start : start + batch_size]
        truth = np.stack([mosaic.labels for mosaic in batch])
        confusion += confusion_matrix(truth, _predict(network, batch), len(CLASSES))
        on_batch()
    return tuple(class_iou(confusion).tolist())


def count_batches(config: EvaluationConfig, missing: Sequence[float] = MISSING_FRACTIONS) -> int:
    """Tell how often `evaluate` will call `on_batch`."""
    return len(missing) * -(-len(PATTERNS) * config.mosaics // config.batch_size)


def _draw_test_mosaics(config: EvaluationConfig, fraction: float) -> Iterator[Mosaic]:
    scenes = draw_complete_mosaics(config)
    rng = np.random.default_rng([config.seed, 1])
    for pattern in PATTERNS.values():
        for mosaic in islice(scenes, config.mosaics):
            yield lose_pixels(mosaic, pattern(rng, config.size, fraction))


def draw_complete_mosaics(config: EvaluationConfig) -> Iterator[Mosaic]:
    """Draw mosaics of the test textures without end, nothing missing; the same for a seed."""
    textures = load_textures("test")
    drawing = MosaicConfig(size=config.size, zoom=(1.0, 1.0), complete=1.0)
    rng = np.random.default_rng([config.seed, 0])
    while True:
        yield draw_mosaic(rng, textures, drawing)


def _predict(network: keras.Model, batch: Sequence[Mosaic]) -> NDArray[np.int64]:
    images = np.stack([mosaic.image for mosaic in batch]).astype(np.float32)
    masks = np.stack([mosaic.mask for mosaic in batch])[..., None]
    return np.asarray(network.predict_on_batch([images, masks])).argmax(axis=-1)


def write_scores(scores: Sequence[Score], folder: Path) -> None:
    """Write scores into a run's folder, as the manifest will carry them."""
    (folder / SCORES_FILE).write_text(json.dumps(describe_scores(scores), indent=2) + "\n")


def describe_scores(scores: Sequence[Score]) -> dict[str, Any]:
    """Give scores as JSON values, rounded to four digits."""
    return {
        "data": "mosaics of textures held out from training",
        "mean_iou": {
            f"missing_{round(score.missing * 100)}": round(score.mean_iou, 4) for score in scores
        },
        "class_iou": {
            f"missing_{round(score.missing * 100)}": {
                texture.name: None if np.isnan(value) else round(value, 4)
                for texture, value in zip(CLASSES, score.class_iou, strict=True)
            }
            for score in scores
        },
    }


def read_scores(folder: Path) -> dict[str, Any]:
    """Read a run's scores; nothing if it has not been evaluated."""
    path = folder / SCORES_FILE
    if not path.is_file():
        return {}
    scores: dict[str, Any] = json.loads(path.read_text())
    return scores
