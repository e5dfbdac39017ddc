"""Filling of missing pixels from valid ones, so that no answer depends on the canvas."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import read_inputs, read_positive


@keras.saving.register_keras_serializable("lacuna")
class FillByReflection(keras.layers.Layer):
    """Filling of missing pixels by reflection within the cells of fixed grids.

    A gap continues the texture beside it. A pixel is filled from a valid one of its own cell of
    2**levels pixels, or not at all. The cells tile the image from its first pixel on, whatever the
    canvas, so filled pixels may count as valid in all that follows; see `ops.find_reflections`.

    Args:
        levels: number of sizes of cells: 2, 4, … and 2**levels pixels.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), any value under the mask; bool (N, H, W, 1).

    Returns:
        `(y, mask)` of the size that is padded to whole cells: float (N, H', W', C + 1), 0 where
        missing, with a last channel that is 1 where a pixel is filled; bool (N, H', W', 1), valid
        or filled.

    Raises:
        ValueError: if `levels` is not a positive integer, or the mask not bool (N, H, W, 1) and of
            the features' size.

    Examples:
        >>> x = tf.constant([3.0, np.nan, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> y, mask = FillByReflection(1)([x, tf.math.is_finite(x)])
        >>> y[0, 0].numpy().T
        array([[3., 3., 0., 0.],
               [0., 1., 0., 0.]], dtype=float32)
        >>> mask[0, 0, :, 0].numpy()
        array([ True,  True, False, False])
    """

    def __init__(self, levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = read_positive(levels, "levels")

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Find the pixels to fill from, and take them."""
        x, mask, _ = read_inputs(inputs)
        cell = 2**self.levels
        found = ops.find_reflections(mask, self.levels)
        filled = found[..., None] >= 0
        missing = filled & ~ops.pad_to_multiple(mask, (cell, cell), constant=False)
        taken = ops.take_positions(x, found)
        y = tf.concat([taken, tf.cast(missing, x.dtype)], axis=-1)
        y.set_shape((*x.shape[:1], None, None, x.shape[-1] + 1))
        return y, filled

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "levels": self.levels}
