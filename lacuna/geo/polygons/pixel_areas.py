"""Areas of pixels in whole units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.geo.areas import PixelAreas
from lacuna.geo.grid import Grid

_STEPS = 1 << 32
"""Units in the pixel in the middle: sums over a strip are exact as float64."""
_BLOCK_PIXELS = 1 << 19


class WholeAreas:
    """Areas of pixels as multiples of a small unit, whose sums are the same in any order.

    Args:
        grid: of the pixels.

    Attributes:
        unit_m2: the unit, in square metres.

    Raises:
        NotGeoreferencedError: if the pixels have no areas.
    """

    def __init__(self, grid: Grid) -> None:
        self._areas, self._height = PixelAreas(grid), grid.height
        middle = self._areas.compute(grid.height // 2, 1)[0, grid.width // 2]
        self.unit_m2 = float(middle) / _STEPS
        self._block_rows = max(1, _BLOCK_PIXELS // grid.width)
        self._block, self._first = self._read_block(0), 0

    def of_rows(self, first: int, count: int) -> NDArray[np.float64]:
        """Return the areas of rows, float64 (count, W), in units.

        They are computed in blocks of certain rows: their last bits depend on how many are
        computed together.
        """
        parts, row = [], first
        while row < first + count:
            begin = row // self._block_rows * self._block_rows
            if begin != self._first:
                self._block, self._first = self._read_block(begin), begin
            end = min(first + count, begin + self._block_rows)
            parts.append(self._block[row - begin : end - begin])
            row = end
        return np.concatenate(parts)

    def _read_block(self, begin: int) -> NDArray[np.float64]:
        rows = min(self._block_rows, self._height - begin)
        return np.rint(self._areas.compute(begin, rows) / self.unit_m2)
