"""Layers that compute a network on strips: narrow bands of the canvases, where anything is valid.

The canvases of a batch are divided into strips of some coarsest cells in width, and each strip into
blocks of one cell in height. A run is a series of blocks of one strip that all hold a valid pixel.
Each level of the network computes one array (1, rows, columns, channels): the runs of all canvases
one under the other, with a border around each that its kernels reach. Between two levels each cell
of a run and of its border is taken from where the level before has computed it. So nothing is
computed twice but the borders, and a block without a valid pixel is not computed at all.

The first run has no valid pixel, and all its features are 0. What lies in no run is taken from it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lacuna.windows.strips import STRIP_CELLS
from model import ops
from model.layers.arguments import check_mask, read_positive

_MULTIPLE = 8
"""The numbers of blocks and of runs are rounded up to multiples of it, so that shapes are few: a
runtime prepares itself for each."""

_NO_SOURCE = -2
"""Source of a pixel that nothing is found for: its position is −1, and its last bit 0."""


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


def _frame(mask: Any) -> Any:
    """Return a mask (R, S) as (1, R, S, 1)."""
    return tf.expand_dims(tf.expand_dims(mask, 0), 3)


def _count(where: Any) -> Any:
    """Return how many are True up to each element, along all axes."""
    numbers = tf.cumsum(tf.reshape(tf.cast(where, tf.int32), [-1]))
    return tf.reshape(numbers, tf.shape(where))


@keras.saving.register_keras_serializable("lacuna")
class TakePixels(keras.layers.Layer):
    """Pixels at positions, in a new arrangement.

    Call arguments:
        inputs: `[x, positions]`: (N, H, W, C), features or mask; int32 (R, S), counted along the
            rows of all images; −1 for none.

    Returns:
        (1, R, S, C). A mask is False where there is none, features are any.
    """

    def call(self, inputs: Any) -> Any:
        """Gather."""
        x, positions = inputs
        pixels = tf.reshape(x, [-1, x.shape[-1]])
        taken = tf.expand_dims(tf.gather(pixels, tf.maximum(positions, 0)), 0)
        return taken & _frame(positions >= 0) if x.dtype == tf.bool else taken


@keras.saving.register_keras_serializable("lacuna")
class FindReflections(keras.layers.Layer):
    """Sources that the pixels of the canvases are filled from; see `ops.find_reflections`.

    A source is twice the position of a pixel, counted along the rows of all canvases, and 1 more
    unless the pixel is filled from itself. So one number says all that is to be taken, of canvases
    with at most 2**30 pixels together.

    Args:
        levels: number of sizes of cells.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        mask: bool (N, H, W, 1).

    Returns:
        `(sources, filled)` of the size that is padded to whole cells: int32 (N, H', W'), −2 where
        none is found; bool (N, H', W', 1), where one is.

    Raises:
        ValueError: if `levels` is not a positive integer, or the mask not bool (N, H, W, 1).
    """

    def __init__(self, levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = read_positive(levels, "levels")

    def call(self, mask: Any) -> tuple[Any, Any]:
        """Find them on the masks alone."""
        check_mask(mask)
        found, cell = ops.find_reflections(mask, self.levels), 2**self.levels
        missing = ~ops.pad_to_multiple(mask, (cell, cell), constant=False)[..., 0]
        filled = found >= 0
        sources = tf.where(filled, 2 * found + tf.cast(missing, tf.int32), _NO_SOURCE)
        return sources, filled[..., None]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable("lacuna")
class TakeReflections(keras.layers.Layer):
    """Pixels at positions of canvases that are filled by reflection; only these are filled.

    Call arguments:
        inputs: `[x, sources, positions]`: float (N, H, W, C), of the canvases; int32 (N, H', W'),
            from `FindReflections`; int32 (R, S), counted along the rows of all of H' and W'; −1
            for none.

    Returns:
        `(y, mask)`, as `FillByReflection` has them there: float (1, R, S, C + 1), 0 where the mask,
        bool (1, R, S, 1), is False.
    """

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Look up where each pixel comes from, and take it from there."""
        x, sources, positions = inputs
        source = tf.gather(tf.reshape(sources, [-1]), tf.maximum(positions, 0))
        source = tf.where(positions < 0, _NO_SOURCE, source)
        taken = ops.take_positions(x, tf.bitwise.right_shift(source, 1))
        missing = tf.cast(tf.bitwise.bitwise_and(source, 1), x.dtype)
        y = tf.concat([taken, tf.expand_dims(missing, 2)], axis=-1)
        return tf.expand_dims(y, 0), _frame(source >= 0)


@keras.saving.register_keras_serializable("lacuna")
class TakeUpSampled(keras.layers.Layer):
    """Nearest-neighbour upsampling by 2 of pixels at positions, 0 where the finer mask is invalid.

    Call arguments:
        inputs: `[x, positions, mask]`: (1, H, W, C) with a first pixel of 0; int32 (R, S), counted
            along the rows; bool (1, 2 · R, 2 · S, 1).

    Returns:
        (1, 2 · R, 2 · S, C).
    """

    def call(self, inputs: Any) -> Any:
        """Gather each pixel four times."""
        x, positions, mask = inputs
        rows, columns = tf.unstack(tf.shape(positions))
        cells = tf.reshape(positions, [rows, 1, columns, 1])
        fine = tf.reshape(tf.broadcast_to(cells, [rows, 2, columns, 2]), tf.shape(mask))
        shown = tf.squeeze(tf.where(mask, fine, 0), 3)
        return tf.gather(tf.reshape(x, [-1, x.shape[-1]]), shown)


@keras.saving.register_keras_serializable("lacuna")
class CropBorder(keras.layers.Layer):
    """Features or masks without their outermost pixels.

    Args:
        border: number of pixels on each side.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        x: (N, H, W, C).

    Returns:
        (N, H − 2 · border, W − 2 · border, C).

    Raises:
        ValueError: if `border` is not a positive integer.
    """

    def __init__(self, border: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.border = read_positive(border, "border")

    def call(self, x: Any) -> Any:
        """Slice."""
        inner = slice(self.border, -self.border)
        return x[:, inner, inner]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "border": self.border}
