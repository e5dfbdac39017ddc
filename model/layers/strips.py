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

from typing import Any

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_mask, read_positive

_NO_SOURCE = -2
"""Source of a pixel that nothing is found for: its position is −1, and its last bit 0."""


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


def _frame(mask: Any) -> Any:
    """Return a mask (R, S) as (1, R, S, 1)."""
    return tf.expand_dims(tf.expand_dims(mask, 0), 3)
