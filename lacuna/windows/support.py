"""Support: the part of the pixels that a label could draw on that is valid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def compute_support(mask: NDArray[np.bool_], radius: int) -> NDArray[np.float32]:
    """Compute the valid fraction of the square of pixels around each pixel.

    What lies beyond the image is not valid. So a window that holds the square of a pixel, as far as
    the image does, gives what the whole image gives, to the bit.

    Args:
        mask: bool (H, W), True = valid.
        radius: receptive radius in pixels; a square has 2 · radius + 1 pixels a side.

    Returns:
        float32 (H, W), 0 to 1, also where a pixel is not valid itself.
    """
    counts = mask.astype(np.int32)
    for axis in (0, 1):
        counts = _sum_along(counts, radius, axis)
    return (counts / (2 * radius + 1) ** 2).astype(np.float32)


def _sum_along(counts: NDArray[np.int32], radius: int, axis: int) -> NDArray[np.int32]:
    """Sum the numbers up to `radius` away along an axis."""
    length = counts.shape[axis]
    shape = list(counts.shape)
    shape[axis] = length + 1
    before = np.zeros(shape, np.int32)
    ahead = [slice(None), slice(None)]
    ahead[axis] = slice(1, None)
    np.cumsum(counts, axis=axis, out=before[tuple(ahead)])
    places = np.arange(length)
    last = np.minimum(places + radius + 1, length)
    first = np.maximum(places - radius, 0)
    return before.take(last, axis=axis) - before.take(first, axis=axis)
