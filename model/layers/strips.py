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
import tensorflow as tf

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
        gap: rows between two runs.
        margin: rows before the first run, and columns on each side of the runs.
    """

    gap: int
    margin: int = 0


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
        border, half, coarser = self.border, self.border // 2, range(1, self.levels)
        runs = _Runs(mask, 2 ** (self.levels - 1), margin=border)
        sides = [runs.cell >> level for level in range(self.levels)]
        output = _Source(2 * border)
        pooled = [_Source(2 * border, half), *[_Source(border)] * (self.levels - 2)]
        finest = 2 * border if self.levels > 1 else border
        down = [runs.locate(sides[level], pooled[level - 1], border, border) for level in coarser]
        up = [runs.locate(sides[level], output, half, half) for level in coarser[1:]]
        if self.levels > 1:
            up.insert(0, runs.locate(sides[1], output, border, half)[half:-half])
        skip = [runs.locate(sides[level], output, border, border) for level in coarser[:-1]]
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
        self.cell, self._margin = cell, margin
        self._size = tf.shape(mask)[:3]
        n, height, width = tf.unstack(self._size)
        rows, strips = -(-height // cell), -(-width // (cell * STRIP_CELLS))
        self._grid = n, rows, strips
        bottom, right = rows * cell - height, strips * cell * STRIP_CELLS - width
        padded = tf.pad(mask[..., 0], [[0, 0], [0, bottom], [0, right]])
        pixels = tf.reshape(padded, [n, rows, cell, strips, cell * STRIP_CELLS])
        self._valid = _transpose(tf.reduce_any(pixels, [2, 4]))
        around = tf.pad(self._valid, [[0, 0], [0, 0], [1, 1]])
        begins, ends = self._valid & ~around[..., :-2], self._valid & ~around[..., 2:]
        first, last = (tf.cast(tf.where(where), tf.int32) for where in (begins, ends))
        self._block, self._run = _count(self._valid), _count(begins)
        blocks = last[:, 2] - first[:, 2] + 1
        # The first run is empty, of one block at least. Its length, and runs without a block at
        # the end, make the numbers of blocks and of runs multiples of a number.
        more, self._runs = -tf.reduce_sum(blocks) % _MULTIPLE, tf.size(blocks)
        empty = 1 + (more - 1) % _MULTIPLE
        self._first = tf.pad(first, [[1, -(self._runs + 1) % _MULTIPLE], [0, 0]])
        self._blocks = tf.pad(tf.concat([[empty], blocks], 0), [[0, -(self._runs + 1) % _MULTIPLE]])
        self._block += empty - 1

    def locate(self, side: int, source: _Source, rows: int, columns: int) -> Any:
        """Return the positions of the cells of the runs and of a border around them.

        Args:
            side: cells of this level along a coarsest cell.
            source: array that they are taken from.
            rows: width of the border above and below each run.
            columns: width of the border on both sides.
        """
        margin = [self._margin, self._margin]
        corners = tf.pad(self._find_corners(side, source), [[0, 0], margin, margin])
        run, offset = self._list_rows(side, rows)
        canvas, strip, row = tf.unstack(tf.gather(self._first, run), axis=1)
        line = canvas * tf.shape(corners)[1] + self._margin + row + offset // side
        around = -(-columns // side)
        left = strip * STRIP_CELLS + self._margin - around
        # The first row of the margin stands for the runs without a valid pixel.
        cells = tf.where(self._is_valid(run), line * tf.shape(corners)[2] + left, 0)[:, None]
        cells += tf.range(STRIP_CELLS + 2 * around)
        width = side * STRIP_CELLS + 2 * source.margin
        firsts = tf.gather(tf.reshape(corners, [-1]), cells) + (offset % side * width)[:, None]
        every = tf.reshape(firsts[..., None] + tf.range(side), [tf.size(run), -1])
        skipped = around * side - columns
        return every[:, skipped : skipped + side * STRIP_CELLS + 2 * columns]

    def find_pixels(self, border: int) -> Any:
        """Return the positions on the canvases of the pixels of the runs; −1 for none."""
        run, offset = self._list_rows(self.cell, border)
        canvas, strip, row = tf.unstack(tf.gather(self._first, run), axis=1)
        _, height, width = tf.unstack(self._size)
        y, length = row * self.cell + offset, self.cell * STRIP_CELLS
        x = (strip * length - border)[:, None] + tf.range(length + 2 * border)
        inside = (self._is_valid(run) & (y >= 0) & (y < height))[:, None] & (x >= 0) & (x < width)
        return tf.where(inside, ((canvas * height + y) * width)[:, None] + x, -1)

    def place(self, gap: int) -> Any:
        """Return which row of the network's output holds each row of each strip of the canvases.

        Args:
            gap: rows between two runs.
        """
        first = tf.where(self._valid, self._block * self.cell + self._run * gap, 0)
        rows = _transpose(first)[:, :, None] + tf.range(self.cell)[:, None]
        n, blocks, strips = self._grid
        return tf.reshape(rows, [n, blocks * self.cell, strips])

    def _list_rows(self, side: int, border: int) -> tuple[Any, Any]:
        """Return the run of each row, and how many rows it is below the first without border."""
        length = self._blocks * side + 2 * border
        run = tf.repeat(tf.range(tf.size(length)), length)
        begin = tf.cumsum(length, exclusive=True)
        return run, tf.range(tf.size(run)) - tf.gather(begin, run) - border

    def _is_valid(self, run: Any) -> Any:
        return (run > 0) & (run <= self._runs)

    def _find_corners(self, side: int, source: _Source) -> Any:
        """Return the position of the first cell of each coarsest cell: (N, rows, columns)."""
        line = tf.where(self._valid, self._block * side + self._run * source.gap, 0)
        width = side * STRIP_CELLS + 2 * source.margin
        first = (line + source.margin) * width + source.margin
        cells = _transpose(first)[..., None] + tf.range(STRIP_CELLS) * side
        n, rows, strips = self._grid
        return tf.reshape(cells, [n, rows, strips * STRIP_CELLS])


def _transpose(x: Any) -> Any:
    """Swap the last two axes. oneDNN logs an error where it transposes other types than floats."""
    n, rows, columns = tf.unstack(tf.shape(x))
    places = tf.range(rows) * columns + tf.range(columns)[:, None]
    return tf.gather(tf.reshape(x, [n, -1]), places, axis=1)


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
        taken = tf.gather(tf.reshape(x, [-1, x.shape[-1]]), tf.maximum(positions, 0))[None]
        return taken & (positions >= 0)[None, ..., None] if x.dtype == tf.bool else taken


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
        y = tf.concat([taken, missing[..., None]], axis=-1)
        return y[None], (source >= 0)[None, ..., None]


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
        cells = tf.broadcast_to(positions[:, None, :, None], [rows, 2, columns, 2])
        fine = tf.reshape(cells, [2 * rows, 2 * columns])
        shown = tf.where(mask[0, ..., 0], fine, 0)
        return tf.gather(tf.reshape(x, [-1, x.shape[-1]]), shown)[None]


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
