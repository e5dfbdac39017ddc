"""A mask's cells: which of them hold something valid, and what an answer there depends on.

A cell is a square of total_stride pixels of the grid on which a model is the same everywhere. What
is planned in cells is exact in pixels, and there are far fewer of them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# From so many rows on it is quicker to add them one by one: NumPy goes down each column in turn.
_MANY_ROWS = 160


class Box(NamedTuple):
    """A rectangle of cells.

    Attributes:
        top: first row.
        left: first column.
        bottom: the row after the last.
        right: the column after the last.
    """

    top: int
    left: int
    bottom: int
    right: int

    def meet(self, other: Box) -> Box:
        """Give the cells that are in both."""
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )


class Cells:
    """What the search for a good split asks of a mask.

    Args:
        valid: bool (R, C), True = the cell holds a valid pixel.
        halo: of the model, in cells.
    """

    def __init__(self, valid: NDArray[np.bool_], halo: int) -> None:
        self.whole = Box(0, 0, *valid.shape)
        self._valid = valid
        self._halo = halo
        self._stride = valid.shape[1] + 1
        self._full = _sum_above_left(_fill_gaps(valid, halo)).ravel()

    def count_full(self, top: Any, left: Any, bottom: Any, right: Any) -> Any:
        """Count the cells of a box that no split can leave out; or of many boxes, as arrays.

        These are the valid ones and those in gaps narrower than the halo, which the parts on either
        side take in anyway.
        """
        full, above, below = self._full, top * self._stride, bottom * self._stride
        return full[below + right] - full[below + left] - full[above + right] + full[above + left]

    @cached_property
    def needs(self) -> NDArray[Any]:
        """What the answer in each cell depends on: int8, int16 or int32 (4, R, C).

        First row, first column, −(last row + 1) and −(last column + 1) of the valid cells within
        the halo of a valid cell, itself included; the dtype's largest value where a cell is not
        valid. The least of each over a set of cells thus bounds what a model must see to answer for
        all of them.
        """
        valid, halo = self._valid, self._halo
        kind = np.min_scalar_type(-1 - max(valid.shape))
        needs = np.empty((4, *valid.shape), kind)
        nowhere = kind.type(np.iinfo(kind).max)
        for axis in (0, 1):
            # Of every line along the axis: where it is valid, or is not farther than the halo.
            lines = valid if axis == 0 else valid.T
            near = lines.T.copy()
            _gather(np.logical_or, near, halo)
            _gather(np.logical_or, near[::-1], halo)
            index = np.arange(len(lines), dtype=kind)[:, None]
            first = np.where(near.T, index, nowhere)
            last = np.where(near.T, -1 - index, nowhere)
            _gather(np.minimum, first, halo)
            _gather(np.minimum, last[::-1], halo)
            needs[axis], needs[axis + 2] = (first, last) if axis == 0 else (first.T, last.T)
        np.copyto(needs, nowhere, where=~valid)
        return needs


def find_valid_cells(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Tell which cells hold a valid pixel.

    Args:
        mask: bool (H, W).
        side: of a cell, in pixels.

    Returns:
        bool (⌈H / side⌉, ⌈W / side⌉).
    """
    height, width = mask.shape
    whole = height // side
    rows = np.empty((-(-height // side), width), np.bool_)
    blocks = mask[: whole * side].reshape(whole, side, width)
    np.logical_or.reduce(blocks, axis=1, out=rows[:whole])
    if whole < len(rows):
        np.logical_or.reduce(mask[whole * side :], axis=0, out=rows[whole])
    # Laying a cell's columns over each other is many times quicker than any() on so short an axis.
    valid = np.zeros((len(rows), -(-width // side)), np.bool_)
    for column in range(min(side, width)):
        columns = rows[:, column::side]
        valid[:, : columns.shape[1]] |= columns
    return valid


def _fill_gaps(valid: NDArray[np.bool_], halo: int) -> NDArray[np.bool_]:
    """Fill what is empty but holds no empty square of the halo's side."""
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
