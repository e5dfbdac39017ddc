"""Outlines of the regions of a label map: how much there is to draw, before any is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_CORNERS = 1 << 18
"""Most points at which the outlines of an answer's polygons may turn or meet. The polygons of a
checkerboard with so many take 260 MB, and four seconds of a core."""

_BLOCK_PIXELS = 1 << 20


def count_corners(labels: NDArray[np.uint8]) -> int:
    """Count the points between four pixels at which outlines of regions turn or meet.

    All outlines together have at most four corners at each, and at least one. A region has at least
    four corners, so there are no more regions than points.

    Args:
        labels: uint8 (H, W). What is beyond the border counts as another region.
    """
    rows = max(_BLOCK_PIXELS // labels.shape[1], 1)
    framed = np.pad(labels.astype(np.int16), 1, constant_values=-1)
    return sum(
        _count_in_block(framed[start : start + rows + 1])
        for start in range(0, len(labels) + 1, rows)
    )


def _count_in_block(labels: NDArray[np.int16]) -> int:
    across = labels[:, 1:] == labels[:, :-1]
    down = labels[1:] == labels[:-1]
    goes_on = (across[1:] & across[:-1]) | (down[:, 1:] & down[:, :-1])
    return int(goes_on.size - np.count_nonzero(goes_on))
