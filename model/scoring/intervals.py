"""Confidence intervals of scores, by bootstrap over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_DRAWS, _SEED = 2000, 0
_PERCENTILES = (2.5, 97.5)

Interval = tuple[float, float]


class Intervals(NamedTuple):
    """Intervals that hold the score of other images of the same kind with a confidence of 95 %.

    Attributes:
        mean_iou: of the mean over classes.
        class_iou: of each class; NaN for one that does not occur.
    """

    mean_iou: Interval
    class_iou: tuple[Interval, ...]


def find_intervals(parts: Sequence[NDArray[np.int64]]) -> Intervals:
    """Draw as many images as there are, again and again, and score them.

    Pixels of one image are alike, so images are drawn, not pixels. With a handful of images the
    intervals are too narrow.

    Args:
        parts: confusion matrix (K, K) of each image, at least one.
    """
    count, classes = len(parts), len(parts[0])
    weights = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), _DRAWS)
    drawn = (weights @ np.reshape(parts, (count, -1))).reshape(-1, classes, classes)
    hits = np.diagonal(drawn, axis1=1, axis2=2).astype(np.float64)
    union = drawn.sum(axis=1) + drawn.sum(axis=2) - hits
    iou = np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
    occurs = np.isfinite(iou)
    means = np.where(occurs, iou, 0).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)
    return Intervals(_find_percentiles(means), tuple(_find_percentiles(column) for column in iou.T))


def _find_percentiles(values: NDArray[Any]) -> Interval:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _PERCENTILES)
    return float(low), float(high)
