"""Support: the part of the pixels that a label could draw on that is valid."""

from __future__ import annotations

import itertools
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Counts = TypeVar("Counts", np.uint16, np.uint32)


def compute_support(mask: NDArray[np.bool_], radius: int) -> NDArray[np.float32]:
    """Compute the valid fraction of the square of pixels around each pixel.

    What lies beyond the image is not valid: a label at the border rests on less. So a window that
    holds the square of a pixel, as far as the image does, gives what the whole image gives, to the
    bit.

    Args:
        mask: bool (H, W), True = valid.
        radius: receptive radius in pixels; a square has 2 · radius + 1 pixels a side.

    Returns:
        float32 (H, W), 0 to 1, also where a pixel is not valid itself.
    """
    side = 2 * radius + 1
    counts = _sum_nearby(np.cumsum(mask, axis=1, dtype=np.uint32).T, radius).T
    # Half the memory is twice as fast. The sums overflow; their differences are exact even so.
    counts = counts.astype(np.uint16 if side * side < 1 << 16 else np.uint32)
    # One row at a time is faster than NumPy's cumsum, which goes down each column.
    for above, row in itertools.pairwise(counts):
        np.add(above, row, out=row)
    counts = _sum_nearby(counts, radius)
    return np.divide(counts, np.float32(side * side), dtype=np.float32)


def _sum_nearby(sums: NDArray[Counts], radius: int) -> NDArray[Counts]:
    """Sum the lines up to `radius` away from each, given the sums of each and those before it."""
    radius = min(radius, len(sums) - 1)
    nearby = np.empty_like(sums)
    nearby[: -radius or None] = sums[radius:]
    nearby[len(sums) - radius :] = sums[-1]
    nearby[radius + 1 :] -= sums[: len(sums) - radius - 1]
    return nearby
