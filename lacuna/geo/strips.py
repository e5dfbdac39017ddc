"""Reader of overlapping windows that decodes each block of a file once.

Windows come row band by row band. Whole rows of blocks are read as they are needed, across all
columns at once, and dropped when no later window can need them. Where a raster is too wide for
that, it is parted into columns, which are read one after the other. Blocks that two parts touch,
because of the halo or because a block is wider than a part, are decoded for each.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from lacuna.geo.source import RasterSource
from lacuna.geo.validity import Samples
from lacuna.raster.raster import Raster
from lacuna.windows.window import Window


class StripReader:
    """Reader of the windows of a raster, or of one part of its columns.

    Args:
        source: the raster.
        columns: first column and the one past the last that windows touch; None for all.
    """

    def __init__(self, source: RasterSource, columns: tuple[int, int] | None = None) -> None:
        self._source = source
        self._left, self._right = columns or (0, source.grid.width)
        self._strips: deque[_Strip] = deque()

    def read(self, window: Window) -> Raster:
        """Read a window; see `RasterSource.read`.

        Args:
            window: inside the columns, and no higher than the windows before it.

        Raises:
            InvalidImageError: if the file is damaged or cannot be read.
            ValueError: if the window comes out of order, or is not inside the columns.
        """
        bottom = window.top + window.height
        self._check(window)
        while self._strips and self._strips[0].bottom <= window.top:
            self._strips.popleft()
        start = self._strips[-1].bottom if self._strips else window.top
        if start < bottom:
            self._strips.append(self._read_strip(start, bottom))
        return self._source.interpret(self._crop(window))

    def _check(self, window: Window) -> None:
        if window.left < self._left or window.left + window.width > self._right:
            raise ValueError(
                f"window must be inside columns {self._left} to {self._right}; it is {window}"
            )
        if self._strips and window.top < self._strips[0].top:
            raise ValueError(
                "windows must come from top to bottom; rows above "
                f"{self._strips[0].top} are gone, and one is {window}"
            )

    def _read_strip(self, top: int, bottom: int) -> _Strip:
        """Read the rows of blocks that hold some rows, so that none is decoded again."""
        height, _ = self._source.block_shape
        top = top // height * height
        bottom = min(-(-bottom // height) * height, self._source.grid.height)
        window = Window(top, self._left, bottom - top, self._right - self._left)
        return _Strip(top, bottom, self._source.read_samples(window))

    def _crop(self, window: Window) -> Samples:
        columns = slice(window.left - self._left, window.left - self._left + window.width)
        values, masks = [], []
        for strip in self._strips:
            first = max(window.top, strip.top) - strip.top
            last = min(window.top + window.height, strip.bottom) - strip.top
            if first >= last:
                break
            values.append(strip.samples.values[first:last, columns])
            if strip.samples.mask is not None:
                masks.append(strip.samples.mask[first:last, columns])
        return Samples(np.concatenate(values), np.concatenate(masks) if masks else None)


class _Strip(NamedTuple):
    """Rows of blocks across all columns."""

    top: int
    bottom: int
    samples: Samples


def part_columns(
    source: RasterSource, *, rows: int, halo: int, step: int, budget_bytes: int
) -> list[tuple[int, int]]:
    """Part the columns of a raster so that the rows of blocks of one part fit into memory.

    Args:
        source: the raster.
        rows: height of the highest window, its halo included.
        halo: columns that windows see beyond a part on each side.
        step: every part starts on a multiple of it, and of the width of the file's blocks where a
            part holds one.
        budget_bytes: memory for the rows of a part.

    Returns:
        First column and the one past the last of each part, from left to right, without the halo.
        Each has at least `step` columns, whatever the budget.
    """
    width = source.grid.width
    block_height, block_width = source.block_shape
    # The rows of blocks at the top and the bottom of a window may reach beyond it.
    held = min(rows + 2 * (block_height - 1), source.grid.height)
    most = budget_bytes // (held * source.pixel_bytes)
    if most >= width:
        return [(0, width)]
    unit = math.lcm(step, block_width)
    room = most - 2 * halo
    unit = unit if unit <= room else step
    side = max(step, room // unit * unit)
    return [(left, min(left + side, width)) for left in range(0, width, side)]
