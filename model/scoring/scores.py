"""The score of a network, and the file of scores in a run's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.atomic import replace_file
from model.metrics import class_iou
from model.scoring.calibration import Calibration

SCORES_FILE = "scores.json"

MISSING_FRACTIONS = (0.0, 0.3, 0.6)
"""Fractions of missing pixels that a network is scored at."""


@dataclass(frozen=True)
class Score:
    """Result of a network on images with a fraction of their pixels taken out.

    Attributes:
        missing: the fraction, 0 to 1.
        confusion: int64 (K, K), labelled valid pixels by true class (rows) and predicted class.
        loss: mean cross-entropy of an image; NaN where it is not measured.
        parts: confusion of each image, or window of a scene; empty where it is not kept.
        calibration: of all pixels; None where it is not measured.
        untempered: the same without the temperature; None if there is none.
    """

    missing: float
    confusion: NDArray[np.int64]
    loss: float = float("nan")
    parts: tuple[NDArray[np.int64], ...] = ()
    calibration: Calibration | None = None
    untempered: Calibration | None = None

    @property
    def class_iou(self) -> tuple[float, ...]:
        """Intersection over union of each class; NaN for a class that does not occur."""
        return tuple(class_iou(self.confusion).tolist())

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur; 0 if none does."""
        values = [value for value in self.class_iou if not np.isnan(value)]
        return sum(values) / len(values) if values else 0.0

    @property
    def class_precision(self) -> tuple[float, ...]:
        """Part of the pixels predicted as each class that are right; NaN if there are none."""
        return _divide(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def class_recall(self) -> tuple[float, ...]:
        """Part of the pixels of each class that are right; NaN for one that does not occur."""
        return _divide(np.diag(self.confusion), self.confusion.sum(axis=1))


def _divide(hits: NDArray[np.int64], pixels: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(
        float(hit / count) if count else float("nan")
        for hit, count in zip(hits, pixels, strict=True)
    )


def describe_scores(scores: Sequence[Score], classes: Sequence[str], data: str) -> dict[str, Any]:
    """Return scores as the manifest lists them: JSON values, rounded to four digits.

    Args:
        scores: one for each fraction of missing pixels.
        classes: their names.
        data: description of the images.
    """
    keys = [f"missing_{round(score.missing * 100)}" for score in scores]
    return {
        "data": data,
        "mean_iou": {
            key: round(score.mean_iou, 4) for key, score in zip(keys, scores, strict=True)
        },
        "class_iou": {
            key: {
                name: None if np.isnan(value) else round(value, 4)
                for name, value in zip(classes, score.class_iou, strict=True)
            }
            for key, score in zip(keys, scores, strict=True)
        },
    }


def write_scores(folder: Path, described: Mapping[str, Any]) -> None:
    """Write scores into a run's folder.

    Args:
        folder: of the run.
        described: from `describe_scores`.
    """
    replace_file(folder / SCORES_FILE, (json.dumps(described, indent=2) + "\n").encode())


def read_scores(folder: Path) -> dict[str, Any]:
    """Return a run's scores as `describe_scores` made them; {} if it has none."""
    path = folder / SCORES_FILE
    return dict(json.loads(path.read_text())) if path.is_file() else {}
