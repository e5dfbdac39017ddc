"""Vertices of the boundaries between regions.

A vertex is a corner of pixels. Boundaries are followed with their region on the right-hand side,
as an image is seen: the y axis points down. Where a boundary passes a vertex, it comes in one
direction and leaves in another. A region has a vertex where its boundary turns, and where more
than two regions meet: there its neighbours have a vertex, and both sides of each boundary have the
same vertices. So neighbours still match after any change of coordinates.

A vertex of a region is one number, which sorts by row, then by column:
row · 2²⁸ + column · 2⁴ + incoming direction · 4 + outgoing direction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.sample import INVALID_LABEL

EAST, WEST, SOUTH, NORTH = range(4)

MAX_WIDTH = (1 << 24) - 1
"""Most columns of a raster whose vertices can be numbered."""

_ROW_SHIFT, _COLUMN_SHIFT = 28, 4
_NORTH_WEST, _NORTH_EAST, _SOUTH_WEST, _SOUTH_EAST = range(4)
_NONE = -1


def find_vertices(
    labels: NDArray[np.uint8], first_line: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the vertices on the lines between the rows of a label map.

    Args:
        labels: uint8 (H, W); 255 in the first and in the last column. They do not count: vertex
            column 0 is behind the first.
        first_line: number of the line below the first row.

    Returns:
        The vertices, int64 (N,), in the order of lines and columns, and a pixel of the region of
        each, int64 (N,), as an index of the flattened labels.
    """
    width = labels.shape[1]
    vertical = labels[:, 1:] != labels[:, :-1]
    horizontal = labels[1:] != labels[:-1]
    above, below = vertical[:-1], vertical[1:]
    left, right = horizontal[:, :-1], horizontal[:, 1:]
    where = np.flatnonzero((above | below) & (left | right))
    cracks = above.ravel()[where] * np.uint8(1)
    cracks |= below.ravel()[where] * np.uint8(2)
    cracks |= left.ravel()[where] * np.uint8(4)
    cracks |= right.ravel()[where] * np.uint8(8)
    lines, columns = np.divmod(where, width - 1)
    corners = (lines * width + columns)[:, None] + np.array([0, 1, width, width + 1])
    turns = _TURNS[cracks]
    counts = (turns != _NONE) & (labels.ravel()[corners] != INVALID_LABEL)
    codes = ((lines + first_line) << _ROW_SHIFT) + (columns << _COLUMN_SHIFT)
    return (codes[:, None] + turns)[counts], corners[counts]


def rows_of(vertices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row of each vertex: that of the pixels below it."""
    return vertices >> _ROW_SHIFT


def columns_of(vertices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the column of each vertex: that of the pixels to the right of it."""
    return (vertices >> _COLUMN_SHIFT) & MAX_WIDTH


def places_of(vertices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for the row and column of each vertex."""
    return vertices >> _COLUMN_SHIFT


def _list_turns() -> NDArray[np.int64]:
    """Return how boundaries pass a vertex, by the cracks that end at it.

    Returns:
        int64 (16, 4): the directions, incoming · 4 + outgoing, of the region of each of the four
        pixels, or `_NONE`. Row: 1 for a crack above + 2 below + 4 to the left + 8 to the right.
    """
    table = np.full((16, 4), _NONE)
    for cracks in range(16):
        above, below, left, right = (bool(cracks & bit) for bit in (1, 2, 4, 8))
        turns = (
            # A pixel whose two neighbours are of other regions.
            (above and left, _NORTH_WEST, SOUTH, WEST),
            (above and right, _NORTH_EAST, WEST, NORTH),
            (below and left, _SOUTH_WEST, EAST, SOUTH),
            (below and right, _SOUTH_EAST, NORTH, EAST),
            # Two pixels of a region, opposite to two of others.
            (left and right and below and not above, _NORTH_WEST, WEST, WEST),
            (left and right and above and not below, _SOUTH_WEST, EAST, EAST),
            (above and below and right and not left, _NORTH_WEST, SOUTH, SOUTH),
            (above and below and left and not right, _NORTH_EAST, NORTH, NORTH),
            # Three pixels of a region around one of another.
            (above and left and not (below or right), _SOUTH_EAST, EAST, NORTH),
            (above and right and not (below or left), _SOUTH_WEST, SOUTH, EAST),
            (below and left and not (above or right), _NORTH_EAST, NORTH, WEST),
            (below and right and not (above or left), _NORTH_WEST, WEST, SOUTH),
        )
        for applies, pixel, incoming, outgoing in turns:
            if applies:
                table[cracks, pixel] = incoming * 4 + outgoing
    return table


_TURNS = _list_turns()
