"""Samples of the valid pixels of an image, the same whatever surrounds them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST = 16
"""A grid that meets fewer than one in this many of the wanted pixels is given up."""


def sample_values(
    image: NDArray[Any], mask: NDArray[np.bool_], count: int, valid_pixels: int | None = None
) -> NDArray[Any]:
    """Return values of about `count` valid pixels, evenly spread.

    The pixels stand on a grid that begins at the first valid row and column, so the same pixels are
    chosen if the image is padded.

    Args:
        image: numbers (H, W, C).
        mask: bool (H, W), True = valid.
        count: Number of pixels, at least one. The sample may have a few more, or fewer if not all
            are valid.
        valid_pixels: Number of valid pixels, if it is known.

    Returns:
        The values, (n, C), of the image's type; n = 0 if no pixel is valid.
    """
    if valid_pixels is None:
        valid_pixels = int(np.count_nonzero(mask))
    if valid_pixels == mask.size:
        down, right = choose_steps(mask.shape, count)
        return image[::down, ::right].reshape(-1, image.shape[2])
    # Methods of arrays take half the time of functions that wrap them, and this is done for every
    # request.
    (rows,) = np.logical_or.reduce(mask, axis=1).nonzero()
    if not rows.size:
        return image[:0, 0]
    (columns,) = np.logical_or.reduce(mask, axis=0).nonzero()
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    image, mask = image[box], mask[box]
    down, right = choose_steps(mask.shape, count)
    chosen = image[::down, ::right][mask[::down, ::right]]
    if len(chosen) * _FEWEST >= min(count, valid_pixels):
        return chosen
    # The valid pixels are few, or lie in lines between those of the grid.
    places = np.flatnonzero(mask)[:: max(1, valid_pixels // count)]
    return image[np.unravel_index(places, mask.shape)]


def choose_steps(size: tuple[int, ...], count: int) -> tuple[int, int]:
    """Return the steps down and right of a grid of about `count` points.

    Args:
        size: Height and width.
        count: Number of points, at least one.
    """
    height, width = size
    down = max(1, math.isqrt(height * width // count))
    right = max(1, -(-height // down) * width // count)
    return max(1, -(-width // right) * height // count), right
