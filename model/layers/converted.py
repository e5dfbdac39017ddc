"""Layers of exported networks that were converted: the same results in fewer passes.

They multiply where the layers for training select, so their inputs must be finite, but for those of
`FillIncomplete`. They leave out what changes no bit: masking where nothing is invalid, and the
scaling of sums over complete windows.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_mask, read_channels, read_inputs, read_positive
from model.layers.coverage import FillInvalid
from model.layers.windows import WindowConv2D, WindowDepthwiseConv2D

_SLOPE = 2.0**-40
"""Slope of the leaky ReLU: too small for sums of float32 to see. A power of 2 is undone exactly."""
_MANY = 8
"""Beyond this part of all outputs, to correct all is faster than to correct some."""


def _apply_mask(x: Any, mask: Any) -> Any:
    """Multiply by the mask, if anything is invalid."""
    valid = tf.cast(mask, x.dtype)
    return tf.cond(tf.reduce_all(mask), lambda: x, lambda: x * valid)


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
        return _apply_mask(x, mask)


@keras.saving.register_keras_serializable("lacuna")
class FillIncomplete(FillInvalid):
    """Replacement of the values of invalid pixels, as `FillInvalid`, faster where none is."""

    def call(self, inputs: Any) -> Any:
        """Select, unless all is valid."""
        x, mask, _ = read_inputs(inputs)
        return tf.cond(
            tf.reduce_all(mask), lambda: x, lambda: ops.fill_invalid(x, mask, self.fill_value)
        )


@keras.saving.register_keras_serializable("lacuna")
class IncompleteWindows(keras.layers.Layer):
    """Places of the valid outputs whose windows have some pixels that are invalid.

    Call arguments:
        coverage: float (N, H, W, 1), from `WindowCoverage`.

    Returns:
        int32 (P,), indices of the N · H · W outputs in their order.
    """

    def call(self, coverage: Any) -> Any:
        """Find those whose coverage is more than 1: it is 1 if complete, and 0 if invalid."""
        places = tf.where(tf.reshape(coverage, [-1]) > 1)
        return tf.cast(places[:, 0], tf.int32)


class _Fused(keras.layers.Layer):
    """Abstract: a convolution with its bias and ReLU, for export: `relu(conv(x, w) · c + b)`.

    TensorFlow computes `relu(conv(x, w) + b)` in one pass, and where the window is complete, the
    coverage c is 1. So the rest is corrected afterwards, from the sums that this pass shows: in
    place of the ReLU it has a leaky one, which can be undone. Some outputs are corrected in place,
    many are all corrected, to the same bits.

    The output is not masked.

    Args:
        *args: of the convolution.
        rectify: True for ReLU, False for no activation.
        **kwargs: of the convolution.

    Call arguments:
        inputs: `[x, coverage, places]`: float (N, H, W, C), 0 where invalid; float (N, H / s,
            W / s, 1), from `WindowCoverage`; and what `IncompleteWindows` makes of it. Or `[x]` if
            each window is one pixel, and so never incomplete.

    Returns:
        float (N, H / s, W / s, filters).
    """

    def __init__(self, *args: Any, rectify: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rectify = bool(rectify)

    def _finish(self, y: Any, coverage: Any = None, places: Any = None) -> Any:
        y = tf.nn.bias_add(y, keras.ops.convert_to_tensor(self.bias))
        if places is None:
            return tf.nn.relu(y) if self.rectify else y
        if self.rectify:
            y = tf.nn.leaky_relu(y, _SLOPE)
        few = tf.size(places) <= tf.size(coverage) // _MANY
        return tf.cond(
            few, lambda: self._correct_at(y, coverage, places), lambda: self._correct(y, coverage)
        )

    def _correct_at(self, y: Any, coverage: Any, places: Any) -> Any:
        values = tf.reshape(y, [-1, y.shape[-1]])
        scale = tf.gather(tf.reshape(coverage, [-1, 1]), places)
        corrected = self._correct(tf.gather(values, places), scale)
        # In place: nothing else reads these values, and the rows were read before.
        values = tf.raw_ops.InplaceUpdate(x=values, i=places, v=corrected)
        return tf.reshape(values, tf.shape(y))

    def _correct(self, y: Any, coverage: Any) -> Any:
        """Scale the sums, but not the bias."""
        scale = tf.where(coverage > 0, coverage, 1.0)
        sums = tf.nn.leaky_relu(y, 1 / _SLOPE) if self.rectify else y
        sums = sums * scale + keras.ops.convert_to_tensor(self.bias) * (1 - scale)
        return tf.nn.leaky_relu(sums, _SLOPE) if self.rectify else sums

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "rectify": self.rectify}


@keras.saving.register_keras_serializable("lacuna")
class FusedWindowConv2D(_Fused, WindowConv2D):
    """`WindowConv2D` with its bias and ReLU; see `_Fused`."""


@keras.saving.register_keras_serializable("lacuna")
class FusedWindowDepthwiseConv2D(_Fused, WindowDepthwiseConv2D):
    """`WindowDepthwiseConv2D` with its bias and ReLU; see `_Fused`."""


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
        return _apply_mask(y, finer)

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
