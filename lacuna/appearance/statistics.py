"""Statistics of the values of training images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.outliers import PERCENTILES, find_near_range
from lacuna.appearance.sampling import choose_steps, sample_values

TILE_SIDE = 16
"""Side in pixels of the tiles that are measured. Images with fewer pixels than a tile are not
compared, because a few pixels may have any value."""

_TILE_PERCENTILES = (0.5, 99.5)
_TILES = 64
_SAMPLED_PIXELS = 1024


class ChannelStatistics(NamedTuple):
    """Statistics of one channel of training images, in the units that the model takes.

    If a few values far away would rule them, they are moved nearer first, except for `minimum` and
    `maximum`; see `lacuna.appearance.outliers`.

    Attributes:
        mean: Mean of all valid values.
        deviation: Standard deviation of all valid values.
        minimum: Smallest valid value.
        maximum: Largest valid value.
        low: 2nd percentile of the values; every image counts the same.
        high: 98th percentile.
        tile_mean: 0.5th and 99.5th percentile of the means of tiles of 16 × 16 pixels.
        tile_deviation: The same of their standard deviations.
    """

    mean: float
    deviation: float
    minimum: float
    maximum: float
    low: float
    high: float
    tile_mean: tuple[float, float]
    tile_deviation: tuple[float, float]


class ImageStatistics(NamedTuple):
    """Statistics of the valid values of one image, to be combined with those of others.

    Attributes:
        pixels: Number of valid pixels, at least one.
        mean: float64 (C,).
        variance: float64 (C,).
        minimum: float64 (C,).
        maximum: float64 (C,).
        values: float32 (n, C), a sample of the values.
        tile_means: float32 (t, C), of the whole image and of some tiles, without values far away.
        tile_deviations: float32 (t, C), the same.
    """

    pixels: int
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    values: NDArray[np.float32]
    tile_means: NDArray[np.float32]
    tile_deviations: NDArray[np.float32]


def measure_image(
    image: NDArray[Any], mask: NDArray[np.bool_], share: float = 1.0
) -> ImageStatistics:
    """Measure one image, or a window of one.

    Args:
        image: numbers (H, W, C).
        mask: bool (H, W), True = valid, at least one pixel.
        share: Part of the usual number of values and tiles to sample.
    """
    values = image.reshape(-1, image.shape[2]) if mask.all() else image[mask]
    inside = np.ascontiguousarray(values.T, np.float64)  # sums along rows are fast
    mean, variance = inside.mean(axis=1), inside.var(axis=1)
    deviation = variance**0.5
    # The whole sample even if the share is small, because percentiles need it.
    near = find_near_range(sample_values(image, mask, _SAMPLED_PIXELS), deviation)
    tiles = [near.move(tile) for tile in _cut_tiles(image, mask, math.ceil(share * _TILES))]
    whole = (mean, deviation)
    if near.is_narrow.any():
        moved = near.move(values)
        whole = (moved.mean(axis=0), moved.std(axis=0))
    return ImageStatistics(
        inside.shape[1],
        mean,
        variance,
        inside.min(axis=1),
        inside.max(axis=1),
        sample_values(image, mask, math.ceil(share * _SAMPLED_PIXELS)).astype(np.float32),
        np.array([whole[0], *(tile.mean(axis=0) for tile in tiles)], np.float32),
        np.array([whole[1], *(tile.std(axis=0) for tile in tiles)], np.float32),
    )


def pool(parts: Sequence[ImageStatistics]) -> ImageStatistics:
    """Return the statistics of an image, from those of its windows.

    Args:
        parts: At least one.
    """
    pixels = np.array([[part.pixels] for part in parts], np.float64)
    means = np.stack([part.mean for part in parts])
    mean = (pixels * means).sum(axis=0) / pixels.sum()
    variances = np.stack([part.variance for part in parts]) + np.square(means - mean)
    return ImageStatistics(
        sum(part.pixels for part in parts),
        mean,
        (pixels * variances).sum(axis=0) / pixels.sum(),
        np.min([part.minimum for part in parts], axis=0),
        np.max([part.maximum for part in parts], axis=0),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.tile_means for part in parts]),
        np.concatenate([part.tile_deviations for part in parts]),
    )


def _cut_tiles(image: NDArray[Any], mask: NDArray[np.bool_], count: int) -> Iterable[NDArray[Any]]:
    """Yield the valid values (n, C) of some tiles, all over the image and at least half valid."""
    rows, columns = (side // TILE_SIDE for side in mask.shape)
    if not rows or not columns:
        return
    down, right = choose_steps((rows, columns), count)
    for row in range(0, rows, down):
        for column in range(0, columns, right):
            top, left = row * TILE_SIDE, column * TILE_SIDE
            place = slice(top, top + TILE_SIDE), slice(left, left + TILE_SIDE)
            tile = image[place][mask[place]]
            if len(tile) >= TILE_SIDE**2 // 2:
                yield tile


def combine(images: Iterable[ImageStatistics], channels: int) -> tuple[ChannelStatistics, ...]:
    """Combine the statistics of images.

    Args:
        images: At least one; of one channel each, or of the given number.
        channels: Number of channels.

    Returns:
        Statistics of each channel, rounded to five digits.
    """
    columns = zip(*(_spread(image, channels) for image in images), strict=True)
    pixels, mean, variance, minimum, maximum, values, tile_means, tile_deviations = map(
        np.concatenate, columns
    )
    overall = (pixels * mean).sum(axis=0) / pixels.sum(axis=0)
    spread = (pixels * (variance + np.square(mean - overall))).sum(axis=0) / pixels.sum(axis=0)
    deviation, least, most = spread**0.5, minimum.min(axis=0), maximum.max(axis=0)
    near = find_near_range(values, deviation)
    moved, has_far = near.move(values), (least < near.least) | (most > near.most)
    rows = np.stack(
        [
            np.where(has_far, moved.mean(axis=0), overall),
            np.where(has_far, moved.std(axis=0), deviation),
            least,
            most,
            *np.percentile(values, PERCENTILES, axis=0),
            *np.percentile(tile_means, _TILE_PERCENTILES, axis=0),
            *np.percentile(tile_deviations, _TILE_PERCENTILES, axis=0),
        ]
    )
    return tuple(_round(column) for column in rows.T.tolist())


def _round(numbers: Sequence[float]) -> ChannelStatistics:
    mean, deviation, minimum, maximum, low, high, *pairs = [float(f"{n:.5g}") for n in numbers]
    return ChannelStatistics(
        mean, deviation, minimum, maximum, low, high, (pairs[0], pairs[1]), (pairs[2], pairs[3])
    )


def _spread(image: ImageStatistics, channels: int) -> list[NDArray[Any]]:
    """Return all parts as (n, channels) arrays; one channel is repeated."""
    single = (image.mean, image.variance, image.minimum, image.maximum)
    parts: list[NDArray[Any]] = [
        np.full((1, 1), image.pixels, np.float64),
        *(part[None] for part in single),
        image.values,
        image.tile_means,
        image.tile_deviations,
    ]
    return [np.broadcast_to(part, (len(part), channels)) for part in parts]
