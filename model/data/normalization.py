"""Mean and scale of each channel, by which a network brings its images to one range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lacuna.appearance.outliers import find_near_range
from lacuna.appearance.statistics import ImageStatistics, pool


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
    taken whose values beyond the percentiles by more than this distance are moved there; see
    `lacuna.appearance.outliers`.

    Args:
        images: at least one; of one channel each, which is repeated, or of the given number.
        channels: number of channels.

    Returns:
        The normalisation; the scale is 1 where all values are the same.
    """
    whole = pool([_repeat(image, channels) for image in images])
    deviation = whole.variance**0.5
    near = find_near_range(whole.values, deviation)
    moved = near.move(whole.values)
    means = np.where(near.is_narrow, moved.mean(axis=0), whole.mean)
    scales = np.where(near.is_narrow, moved.std(axis=0), deviation)
    return Normalization(tuple(means.tolist()), tuple(np.where(scales > 0, scales, 1.0).tolist()))


def _repeat(image: ImageStatistics, channels: int) -> ImageStatistics:
    parts = {
        name: np.broadcast_to(part, (*part.shape[:-1], channels))
        for name, part in image._asdict().items()
        if name != "pixels"
    }
    return ImageStatistics(image.pixels, **parts)
