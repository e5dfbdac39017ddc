"""Layers of exported networks that were converted: the same results in fewer passes.

They multiply where the layers for training select, so their inputs must be finite.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_mask, read_channels, read_positive


@keras.saving.register_keras_serializable("lacuna")
class MaskProduct(keras.layers.Layer):
    """Masking of finite features by a product: the same as `FillInvalid`, faster.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), finite; bool (N, H, W, 1).

    Returns:
        Like x, 0 where invalid.

    Raises:
        ValueError: for a mask that is not bool (N, H, W, 1).
    """

    def call(self, inputs: Any) -> Any:
        """Multiply."""
        x, mask = inputs
        check_mask(mask)
        return x * tf.cast(mask, x.dtype)


@keras.saving.register_keras_serializable("lacuna")
class CellConv2DTranspose(keras.layers.Layer):
    """Transposed convolution whose kernel is as large as its stride, bias and masking.

    The same as `PartialConv2DTranspose` where features are finite: each output reads the one pixel
    whose cell it lies in, so there is nothing to renormalise.

    Args:
        filters: number of output channels.
        stride: height and width of a cell, and of the kernel.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, finer]`: float (N, H, W, C), finite; bool (N, s · H, s · W, 1), the mask of
            the output.

    Returns:
        float (N, s · H, s · W, filters), 0 where invalid.

    Raises:
        ValueError: for a number that is not a positive integer, or a mask that is not bool
            (N, H, W, 1).
    """

    def __init__(self, filters: int, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = read_positive(filters, "filters")
        self.stride = read_positive(stride, "stride")

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        shape = (self.stride, self.stride, self.filters, read_channels(input_shape[0]))
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="he_normal")
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Convolve to the pixels of a cell, add the bias, arrange, multiply."""
        x, finer = inputs
        check_mask(finer)
        side, filters = self.stride, self.filters
        kernel = tf.transpose(keras.ops.convert_to_tensor(self.kernel), [3, 0, 1, 2])
        phases = ops.convolve(x, tf.reshape(kernel, [1, 1, -1, side * side * filters]))
        bias = tf.tile(keras.ops.convert_to_tensor(self.bias), [side * side])
        n, h, w = tf.unstack(tf.shape(x)[:3])
        cells = tf.reshape(tf.nn.bias_add(phases, bias), [n, h, w, side, side, filters])
        y = tf.reshape(tf.transpose(cells, [0, 1, 3, 2, 4, 5]), [n, h * side, w * side, filters])
        return y * tf.cast(finer, y.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "filters": self.filters, "stride": self.stride}


@keras.saving.register_keras_serializable("lacuna")
class LinearUpSampling2D(keras.layers.Layer):
    """Bilinear upsampling onto a finer mask: the same as `MaskedUpSampling2D`, faster.

    Renormalising and masking are one product with a map of one channel.

    Args:
        factor: side of the cell that a pixel becomes, in finer pixels.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask, finer]`: float (N, H, W, C), finite; bool (N, H, W, 1); bool (N, H ·
            factor, W · factor, 1), the mask of the finer level.

    Returns:
        float (N, H · factor, W · factor, C), 0 where the finer mask is invalid.

    Raises:
        ValueError: if `factor` is not a positive integer, or a mask not bool (N, H, W, 1).
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = read_positive(factor, "factor")

    def call(self, inputs: Any) -> Any:
        """Multiply, interpolate, multiply."""
        x, mask, finer = inputs
        check_mask(mask)
        check_mask(finer)
        factors, valid = (self.factor, self.factor), tf.cast(mask, x.dtype)
        weight = tf.math.reciprocal_no_nan(ops.upsample_linear(valid, factors))
        return ops.upsample_linear(x * valid, factors) * (weight * tf.cast(finer, x.dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}
