"""Cells of a mask: which of them are valid, and which input the output of each depends on.

A cell is a square of total_stride × total_stride pixels. A model is translation-invariant on the
grid of these cells, so a plan in cells is exact in pixels, and there are far fewer cells.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Number of rows from which adding them one by one is faster, since NumPy goes down each column.
_MANY_ROWS = 160


class Box(NamedTuple):
    """Rectangle of cells.

    Attributes:
        top: First row.
        left: First column.
        bottom: Row after the last.
        right: Column after the last.
    """

    top: int
    left: int
    bottom: int
    right: int

    def intersect(self, other: Box) -> Box:
        """Return the box of the cells that lie in both boxes."""
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )


class CellGrid:
    """Grid of a mask's cells, indexed for the search of a split.

    Args:
        valid: bool (R, C), True = the cell holds a valid pixel.
        halo: Halo of the model, in cells.
        kept: bool (R, C), True = the cell holds a valid pixel whose output is wanted; None for all
            valid cells.
    """

    def __init__(
        self, valid: NDArray[np.bool_], halo: int, kept: NDArray[np.bool_] | None = None
    ) -> None:
        self.whole = Box(0, 0, *valid.shape)
        self._valid = valid
        self._kept = valid if kept is None else kept
        self._halo = halo
        self._stride = valid.shape[1] + 1
        self._required = _sum_above_left(_fill_gaps(self._kept, halo)).ravel()

    def count_required(self, top: Any, left: Any, bottom: Any, right: Any) -> Any:
        """Count the cells of a box that no split can leave out. Accepts arrays of boxes.

        These are the kept cells and the cells in gaps narrower than the halo, which the tiles on
        either side contain anyway.
        """
        return self._count(self._required, top, left, bottom, right)

    def count_kept(self, top: Any, left: Any, bottom: Any, right: Any) -> Any:
        """Count the kept cells of a box. Accepts arrays of boxes."""
        return self._count(self._kept_sums, top, left, bottom, right)

    @cached_property
    def kept_box(self) -> Box:
        """Smallest box of all kept cells, of which there is at least one."""
        (rows,), (columns,) = (np.nonzero(self._kept.any(axis=axis)) for axis in (1, 0))
        return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)

    @cached_property
    def _kept_sums(self) -> NDArray[np.int32]:
        return _sum_above_left(self._kept).ravel()

    def _count(self, sums: NDArray[np.int32], top: Any, left: Any, bottom: Any, right: Any) -> Any:
        above, below = top * self._stride, bottom * self._stride
        return sums[below + right] - sums[below + left] - sums[above + right] + sums[above + left]

    @cached_property
    def bounds(self) -> NDArray[Any]:
        """Bounds of each kept cell, and of the input that its output depends on.

        int8 to int32 (8, R, C). The first four values are the row, the column, −(row + 1) and
        −(column + 1) of the cell. The others are the first row, the first column, −(last row + 1)
        and −(last column + 1) of the valid cells within the halo of it, including itself. All are
        the dtype's largest value for a cell that is not kept. So the minimum of each value over a
        set of cells bounds the kept ones, and the input that the model must see for all of them.
        """
        valid, halo = self._valid, self._halo
        kind = np.min_scalar_type(-1 - max(valid.shape))
        bounds = np.empty((8, *valid.shape), kind)
        nowhere = kind.type(np.iinfo(kind).max)
        for axis in (0, 1):
            # For every line along the axis: cells that are valid or within the halo of a valid one.
            lines = valid if axis == 0 else valid.T
            near = lines.T.copy()
            _gather(np.logical_or, near, halo)
            _gather(np.logical_or, near[::-1], halo)
            index = np.arange(len(lines), dtype=kind)[:, None]
            first = np.where(near.T, index, nowhere)
            last = np.where(near.T, -1 - index, nowhere)
            _gather(np.minimum, first, halo)
            _gather(np.minimum, last[::-1], halo)
            for place, found in enumerate((index, -1 - index, first, last)):
                bounds[axis + 2 * place] = found if axis == 0 else found.T
        np.copyto(bounds, nowhere, where=~self._kept)
        return bounds


def find_valid_cells(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Find the cells that hold a valid pixel.

    Args:
        mask: bool (H, W), True = valid.
        side: Side of a cell, in pixels.

    Returns:
        bool (⌈H / side⌉, ⌈W / side⌉), True = the cell holds a valid pixel.
    """
    height, width = mask.shape
    whole = height // side
    rows = np.empty((-(-height // side), width), np.bool_)
    blocks = mask[: whole * side].reshape(whole, side, width)
    np.logical_or.reduce(blocks, axis=1, out=rows[:whole])
    if whole < len(rows):
        np.logical_or.reduce(mask[whole * side :], axis=0, out=rows[whole])
    # Combining a cell's columns one by one is many times faster than any() along so short an axis.
    valid = np.zeros((len(rows), -(-width // side)), np.bool_)
    for column in range(min(side, width)):
        columns = rows[:, column::side]
        valid[:, : columns.shape[1]] |= columns
    return valid


def _fill_gaps(valid: NDArray[np.bool_], halo: int) -> NDArray[np.bool_]:
    """Fill the gaps that no empty square with the halo as its side fits into."""
    reach = halo - 1
    if reach < 1:
        return valid
    height, width = valid.shape
    full = np.zeros((height + 2 * reach, width + 2 * reach), np.bool_)
    inside = full[reach:-reach, reach:-reach]
    inside[...] = valid
    for lines in (full, full.T):
        _gather(np.logical_or, lines, reach)
    for lines in (full, full.T):
        _gather(np.logical_and, lines[::-1], reach)
    return inside


def _sum_above_left(cells: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Count the cells above and left of each corner: int32 (R + 1, C + 1)."""
    height, width = cells.shape
    counts = np.zeros((height + 1, width + 1), np.int32)
    np.cumsum(cells, axis=1, out=counts[1:, 1:])
    if height < _MANY_ROWS:
        return np.cumsum(counts, axis=0, dtype=np.int32)
    for row in range(1, height + 1):
        counts[row] += counts[row - 1]
    return counts


def _gather(combine: np.ufunc, lines: NDArray[Any], reach: int) -> None:
    """Combine each line, in place, with up to `reach` lines before it."""
    have = 0
    while have < reach:
        step = min(have + 1, reach - have)
        combine(lines[step:], lines[:-step], out=lines[step:])
        have += step
