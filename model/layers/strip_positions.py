"""Where the levels of a network on strips take cells from each other; see `model.layers.strips`."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lacuna.windows.strips import STRIP_CELLS
from model.layers.arguments import check_mask, read_positive

_MULTIPLE = 8
"""The numbers of blocks and of runs are rounded up to multiples of it, so that shapes are few: a
runtime prepares itself for each."""


class StripPositions(NamedTuple):
    """Positions that each array takes its cells from, int32.

    All but the last are counted along the rows of the array that is taken from.

    Attributes:
        pixels: of the finest level's pixels on the canvases, (rows, columns); −1 for none.
        down: of each level but the finest, in the pooled output of the next finer one.
        up: of each level but the coarsest, in cells of the next coarser one, in its output.
        skip: of each level on the way up but the finest and the coarsest, in its output on the way
            down. The finest takes the whole output.
        places: the row of the network's output that holds each row of each strip, (N, H', strips),
            H' in whole blocks. Rows of blocks that are not computed are taken from the first run.
    """

    pixels: Any
    down: list[Any]
    up: list[Any]
    skip: list[Any]
    places: Any


class _Source(NamedTuple):
    """Array that cells are taken from.

    Attributes:
        corners: int32 (cells,), where each coarsest cell of the canvases and of their margins
            begins, counted along the rows of the array; 0 for those that are not computed.
        width: columns.
    """

    corners: Any
    width: int


class _Cells(NamedTuple):
    """Cells of a level that are taken.

    Attributes:
        coarsest: int32 (rows, columns), the coarsest cells that hold them, counted along the rows
            of all canvases with their margins.
        row: int32 (rows,), the row within a coarsest cell.
        side: cells along a coarsest cell.
        skipped: columns at the left and at the right that are not taken.
    """

    coarsest: Any
    row: Any
    side: int
    skipped: int

    def find_in(self, source: _Source) -> Any:
        """Return their positions, int32 (rows, columns), counted along the rows of the array."""
        corners = tf.gather(source.corners, self.coarsest)
        firsts = corners + tf.expand_dims(self.row * source.width, 1)
        columns = self.coarsest.shape[1] * self.side
        every = tf.reshape(tf.expand_dims(firsts, 2) + _range(0, self.side), [-1, columns])
        return every[:, self.skipped : columns - self.skipped] if self.skipped else every


@keras.saving.register_keras_serializable("lacuna")
class PlanStrips(keras.layers.Layer):
    """Positions by which the levels of a U-Net on strips take cells from each other.

    Every level has a border of the same number of cells, which the kernels of its blocks take away
    again. The finest has twice that, so that its output on the way down is its input on the way up.

    Args:
        levels: number of levels, each of half the resolution of the one before.
        border: width of the border in cells; even.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        mask: bool (N, H, W, 1), of the canvases.

    Returns:
        The fields of `StripPositions`.

    Raises:
        ValueError: if `levels` or `border` is not a positive integer, or the mask not bool
            (N, H, W, 1).
    """

    def __init__(self, levels: int, border: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = read_positive(levels, "levels")
        self.border = read_positive(border, "border")

    def compute_output_spec(self, mask: Any) -> StripPositions:
        """Return the shapes and dtypes without tracing."""
        check_mask(mask)
        down, up, skip = (
            [keras.KerasTensor((None, None), "int32") for _ in range(number)]
            for number in (self.levels - 1, self.levels - 1, max(self.levels - 2, 0))
        )
        pixels = keras.KerasTensor((None, None), "int32")
        places = keras.KerasTensor((None, None, None), "int32")
        return StripPositions(pixels, down, up, skip, places)

    def call(self, mask: Any) -> tuple[Any, ...]:
        """Find the runs, then follow the levels."""
        check_mask(mask)
        border, half = self.border, self.border // 2
        runs = _Runs(mask, 2 ** (self.levels - 1), margin=border)
        down, up, skip = [], [], []
        for level in range(1, self.levels):
            side = runs.cell >> level
            outputs = runs.arrange(side, gap=2 * border)
            if level == 1:
                pooled = runs.arrange(side, gap=2 * border, margin=half)
                up.append(runs.surround(side, border, half).find_in(outputs)[half:-half])
            else:
                pooled = runs.arrange(side, gap=border)
                up.append(runs.surround(side, half, half).find_in(outputs))
            cells = runs.surround(side, border, border)
            down.append(cells.find_in(pooled))
            if level < self.levels - 1:
                skip.append(cells.find_in(outputs))
        finest = 2 * border if self.levels > 1 else border
        return StripPositions(runs.find_pixels(finest), down, up, skip, runs.place(2 * finest))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "levels": self.levels, "border": self.border}


class _Runs:
    """Runs of blocks that hold a valid pixel.

    Args:
        mask: bool (N, H, W, 1).
        cell: side of a coarsest cell, in pixels.
        margin: rows and columns of coarsest cells around the canvases, in which nothing is valid.
    """

    def __init__(self, mask: Any, cell: int, margin: int) -> None:
        self.cell, self._margin = cell, [margin, margin]
        n, height, width, _ = tf.unstack(tf.shape(mask))
        rows, strips = -(-height // cell), -(-width // (cell * STRIP_CELLS))
        self._size, self._grid = (height, width), (n, rows, strips)
        bottom, right = rows * cell - height, strips * cell * STRIP_CELLS - width
        padded = tf.pad(mask, [[0, 0], [0, bottom], [0, right], [0, 0]])
        pixels = tf.reshape(padded, [n, rows, cell, strips, cell * STRIP_CELLS])
        valid = _transpose(tf.reduce_any(pixels, [2, 4]), rows, strips)
        around = tf.pad(valid, [[0, 0], [0, 0], [1, 1]])
        begins, ends = valid & ~around[..., :-2], valid & ~around[..., 2:]
        first, last = (tf.cast(tf.where(where), tf.int32) for where in (begins, ends))
        blocks = tf.unstack(last - first, axis=1)[2] + 1
        # The first run is empty, of one block at least. Its length, and runs without a block at
        # the end, make the numbers of blocks and of runs multiples of a number.
        empty = 1 + (-tf.reduce_sum(blocks) - 1) % _MULTIPLE
        none = [1, -(tf.size(blocks) + 1) % _MULTIPLE]
        self._blocks = tf.concat([[empty], tf.pad(blocks, [[0, none[1]]])], 0)
        self._is_valid = tf.pad(blocks > 0, [none])
        self._canvas, strip, self._row = tf.unstack(tf.pad(first, [none, [0, 0]]), axis=1)
        self._column = strip * STRIP_CELLS
        # Of each block, the blocks and the runs before its rows; 0 where nothing is valid.
        self._before, self._run = (
            _transpose(tf.where(valid, number, 0), strips, rows)
            for number in (_count(valid) + empty - 1, _count(begins))
        )
        # Of each run, its first cell among the coarsest ones, and the cells from row to row. The
        # first row of the margin stands for the runs without a valid pixel.
        width = strips * STRIP_CELLS + 2 * margin
        line = self._canvas * (rows + 2 * margin) + self._row + margin
        self._first = tf.where(self._is_valid, line * width + self._column, 0) + margin
        self._step = tf.where(self._is_valid, width, 0)

    def arrange(self, side: int, gap: int, margin: int = 0) -> _Source:
        """Return an array that holds the runs one under the other.

        Args:
            side: cells along a coarsest cell.
            gap: rows between two runs.
            margin: rows before the first run, and columns on each side of the runs.
        """
        width = side * STRIP_CELLS + 2 * margin
        lines = tf.expand_dims((self._before * side + self._run * gap) * width, 3)
        first = margin * (width + 1)
        cells = lines + _range(first, first + side * STRIP_CELLS, side)
        n, rows, strips = self._grid
        cells = tf.reshape(cells, [n, rows, strips * STRIP_CELLS])
        return _Source(tf.reshape(tf.pad(cells, [[0, 0], self._margin, self._margin]), [-1]), width)

    def surround(self, side: int, rows: int, columns: int) -> _Cells:
        """Return the cells of the runs and of a border around them.

        Args:
            side: cells along a coarsest cell.
            rows: width of the border above and below each run.
            columns: width of the border on both sides.
        """
        run, offset = self._list_rows(side, rows)
        around = -(-columns // side)
        first = tf.gather(self._first, run) + offset // side * tf.gather(self._step, run)
        coarsest = tf.expand_dims(first, 1) + _range(-around, STRIP_CELLS + around)
        return _Cells(coarsest, offset % side, side, around * side - columns)

    def find_pixels(self, border: int) -> Any:
        """Return the positions on the canvases of the pixels of the runs; −1 for none."""
        run, offset = self._list_rows(self.cell, border)
        height, width = self._size
        y = tf.gather(self._row * self.cell, run) + offset
        line = (tf.gather(self._canvas * height, run) + y) * width
        is_row = tf.gather(self._is_valid, run) & (y >= 0) & (y < height)
        left = tf.expand_dims(tf.gather(self._column * self.cell, run), 1)
        x = left + _range(-border, self.cell * STRIP_CELLS + border)
        inside = tf.expand_dims(is_row, 1) & (x >= 0) & (x < width)
        return tf.where(inside, tf.expand_dims(line, 1) + x, -1)

    def place(self, gap: int) -> Any:
        """Return which row of the network's output holds each row of each strip of the canvases.

        Args:
            gap: rows between two runs.
        """
        first = tf.expand_dims(self._before * self.cell + self._run * gap, 2)
        n, blocks, strips = self._grid
        rows = first + _range(0, self.cell)[:, None]
        return tf.reshape(rows, [n, blocks * self.cell, strips])

    def _list_rows(self, side: int, border: int) -> tuple[Any, Any]:
        """Return the run of each row, and how many rows it is below the first without border."""
        length = self._blocks * side + 2 * border
        end = tf.cumsum(length)
        every = tf.range(tf.reduce_sum(length))
        run = tf.searchsorted(end, every, side="right")
        return run, every - tf.gather(end - length + border, run)


def _range(first: int, end: int, step: int = 1) -> NDArray[np.int32]:
    """Return numbers as a constant: one operation, where `tf.range` is four."""
    return np.arange(first, end, step, dtype=np.int32)


def _transpose(x: Any, rows: Any, columns: Any) -> Any:
    """Swap the last two axes. oneDNN logs an error where it transposes other types than floats."""
    places = tf.range(rows) * columns + tf.expand_dims(tf.range(columns), 1)
    return tf.gather(tf.reshape(x, [-1, rows * columns]), places, axis=1)


def _count(where: Any) -> Any:
    """Return how many are True up to each element, along all axes."""
    numbers = tf.cumsum(tf.reshape(tf.cast(where, tf.int32), [-1]))
    return tf.reshape(numbers, tf.shape(where))
