"""Counts of the labelled pixels of a scene, by which the places of crops are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.windows.window import Window

CELL = 64
"""Side of a cell in pixels. A scene of 20,000 × 20,000 pixels takes 400 kB."""


class Overview:
    """Number of labelled valid pixels in each cell of a scene.

    Args:
        size: height and width of the scene in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        rows, columns = (-(-side // CELL) for side in size)
        self._counts = np.zeros((rows, columns), np.int32)
        self._sums: NDArray[np.int64] | None = None

    @property
    def pixels(self) -> int:
        """Number of labelled pixels."""
        return int(self._counts.sum(dtype=np.int64))

    def add(self, window: Window, known: NDArray[np.bool_]) -> None:
        """Count the pixels of a window, once.

        Args:
            window: inside the scene.
            known: bool (H, W), True = valid and labelled.
        """
        rows = _start_cells(window.top, window.height)
        columns = _start_cells(window.left, window.width)
        counts = np.add.reduceat(np.add.reduceat(known, rows, axis=0, dtype=np.int32), columns, 1)
        top, left = window.top // CELL, window.left // CELL
        self._counts[top : top + len(rows), left : left + len(columns)] += counts
        self._sums = None

    def draw(self, rng: np.random.Generator, crop: int) -> Window:
        """Draw the place of a crop.

        A pixel is drawn first: of a cell as likely as it holds labelled pixels, any one. Then, of
        the crops that hold it, any one; those beyond the border are moved inside.

        Args:
            rng: source of randomness.
            crop: height and width in pixels; a smaller scene is used whole.
        """
        cell = self.draw_cell(rng)
        row = cell.top + int(rng.integers(cell.height))
        column = cell.left + int(rng.integers(cell.width))
        down, right = (int(rng.integers(crop)) for _ in range(2))
        return self.place(row - down, column - right, crop)

    def draw_cell(self, rng: np.random.Generator) -> Window:
        """Draw a cell, as likely as it holds labelled pixels."""
        if self._sums is None:
            self._sums = np.cumsum(self._counts, dtype=np.int64)
        place = np.searchsorted(self._sums, rng.integers(self._sums[-1]), side="right")
        row, column = divmod(int(place), self._counts.shape[1])
        cell = Window(row * CELL, column * CELL, CELL, CELL)
        return cell.intersect(Window(0, 0, *self.size))

    def place(self, top: int, left: int, side: int) -> Window:
        """Return the square window nearest to a place; smaller where the scene is."""
        height, width = (min(side, length) for length in self.size)
        return Window(
            min(max(top, 0), self.size[0] - height),
            min(max(left, 0), self.size[1] - width),
            height,
            width,
        )

    def find_windows(self, side: int) -> list[Window]:
        """Return the windows of a regular grid that hold labelled pixels, from top to bottom.

        Args:
            side: of a window in pixels, a multiple of `CELL`.
        """
        step, whole = side // CELL, Window(0, 0, *self.size)
        rows, columns = self._counts.shape
        return [
            Window(row * CELL, column * CELL, side, side).intersect(whole)
            for row in range(0, rows, step)
            for column in range(0, columns, step)
            if self._counts[row : row + step, column : column + step].any()
        ]


def _start_cells(first: int, length: int) -> NDArray[np.int64]:
    """Return where the cells of some rows or columns begin, counted from the first."""
    starts = np.arange(first // CELL * CELL, first + length, CELL) - first
    return np.maximum(starts, 0)
