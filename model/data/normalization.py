"""Mean and scale of each channel, by which a network brings its images to one range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lacuna.appearance.statistics import PERCENTILES, ImageStatistics, pool

_MOST_DEVIATION = 0.5
"""Largest deviation, as a part of the distance between the percentiles, that is not one of
outliers: a normal distribution has 0.24, an even one 0.3, and two values of the same frequency
0.5."""


class Normalization(NamedTuple):
    """Affine map of each channel, `(value - mean) / scale`.

    Attributes:
        means: of each channel.
        scales: of each channel, positive.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]


def fit_normalization(images: Iterable[ImageStatistics], channels: int) -> Normalization:
    """Fit the normalisation of a network to its training images.

    They are the mean and the standard deviation of all valid values. A few values far away, as of
    saturated pixels or a forgotten no-data value, would leave no range for the others. So if the
    deviation is large for the distance of the 2nd from the 98th percentile, those of a sample are
    taken whose values beyond the percentiles by more than this distance are moved there.

    Args:
        images: at least one; of one channel each, which is repeated, or of the given number.
        channels: number of channels.

    Returns:
        The normalisation; the scale is 1 where all values are the same.
    """
    whole = pool([_repeat(image, channels) for image in images])
    deviation = whole.variance**0.5
    low, high = np.percentile(whole.values, PERCENTILES, axis=0)
    distance = high - low
    near = np.clip(whole.values, low - distance, high + distance).astype(np.float64)
    ruled = (distance > 0) & (deviation > _MOST_DEVIATION * distance)
    means = np.where(ruled, near.mean(axis=0), whole.mean)
    scales = np.where(ruled, near.std(axis=0), deviation)
    return Normalization(tuple(means.tolist()), tuple(np.where(scales > 0, scales, 1.0).tolist()))


def _repeat(image: ImageStatistics, channels: int) -> ImageStatistics:
    parts = {
        name: np.broadcast_to(part, (*part.shape[:-1], channels))
        for name, part in image._asdict().items()
        if name != "pixels"
    }
    return ImageStatistics(image.pixels, **parts)
