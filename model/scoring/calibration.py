"""Whether a network is right as often as it says (Guo et al. 2017, arXiv:1706.04599)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.labels import IGNORE_LABEL

BINS = 10


class Calibration(NamedTuple):
    """Labelled pixels by the probability of their predicted class, in bins of equal width.

    Attributes:
        pixels: int64 (BINS,), number of pixels.
        confidence: float64 (BINS,), sum of these probabilities.
        right: int64 (BINS,), number of pixels that are right.
    """

    pixels: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over pixels."""
        distance = np.abs(self.confidence - self.right)
        return float(distance.sum() / max(int(self.pixels.sum()), 1))

    def add(self, other: Calibration) -> Calibration:
        """Return the calibration of the pixels of both."""
        return Calibration(
            self.pixels + other.pixels,
            self.confidence + other.confidence,
            self.right + other.right,
        )


NO_CALIBRATION = Calibration(
    np.zeros(BINS, np.int64), np.zeros(BINS, np.float64), np.zeros(BINS, np.int64)
)


def measure_calibration(labels: NDArray[np.uint8], logits: NDArray[Any]) -> Calibration:
    """Measure the calibration of one image.

    Args:
        labels: uint8 (H, W), `IGNORE_LABEL` where invalid or unknown.
        logits: float (H, W, K).
    """
    known = labels != IGNORE_LABEL
    values = logits[known].astype(np.float64)
    if not len(values):
        return NO_CALIBRATION
    values -= values.max(axis=1, keepdims=True)
    confidence = 1 / np.exp(values).sum(axis=1)
    right = values.argmax(axis=1) == labels[known]
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return Calibration(
        np.bincount(bins, minlength=BINS),
        np.bincount(bins, confidence, BINS).astype(np.float64),
        np.bincount(bins[right], minlength=BINS),
    )
