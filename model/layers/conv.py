"""Convolutions that count only what is valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from model import ops
from model.layers.arguments import check_mask, read_choice, read_odd_pair, read_pair


@keras.saving.register_keras_serializable("lacuna")
class PartialConv2D(keras.layers.Layer):
    """2-D convolution over the valid pixels alone, rescaled by how many there were.

    With `x` the features, `m` the mask, `w` the kernel, `b` the bias and k² the kernel's area:

        z   = conv(where(m, x, 0), w)
        cnt = conv(m, ones)                 valid pixels under the kernel
        y   = z * scale(cnt) + b
        m'  = update(m)
        y   = where(m', y, fill_value)

    The bias stays outside the scale. The image's own border counts as invalid.

    Args:
        filters: number of output channels.
        kernel_size: one integer or two; odd for `padding="same"`.
        strides: one integer or two.
        padding: `"same"` pads by the constant (k - 1) / 2 · dilation on every side, whatever the
            size's parity; `"valid"` not at all.
        dilation_rate: one integer or two.
        normalization: scale(cnt), 0 where cnt is 0:
            `"none"` 1, pre-masking alone;
            `"mean"` 1 / cnt;
            `"area"` k² / cnt, which equals a plain convolution where all is valid;
            `"variance"` sqrt(k² / cnt), which keeps the output's variance where few are valid.
        mask_update: m':
            `"keep"` with stride 1 the mask itself, with stride s whether any pixel of the
            output's s × s block is valid. It never grows, and results do not depend on how far an
            image is padded;
            `"any"` cnt > 0, as in the paper, for inpainting. It grows by the kernel's radius in
            every layer, over padding too, which the next layer then reads: **a network of several
            such layers gives other results in another canvas**;
            `"all"` cnt = k²; it shrinks.
        fill_value: what invalid outputs become.
        activation: applied to y before the invalid outputs are filled.
        use_bias: whether to add b.
        kernel_initializer: of w.
        bias_initializer: of b.
        kernel_regularizer: of w.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), where anything may stand under the mask, NaN
            included; bool (N, H, W, 1).

    Returns:
        `(y, mask)`: float (N, H', W', filters), bool (N, H', W', 1).

    Raises:
        ValueError: for an argument outside its choices, an even kernel with `padding="same"`, or a
            mask that is not bool (N, H, W, 1).

    Reference:
        Liu et al. 2018, Image Inpainting for Irregular Holes Using Partial Convolutions,
        arXiv:1804.07723; the border as invalid: Liu et al. 2018, arXiv:1811.11718.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: ops.Padding = "same",
        dilation_rate: int | Sequence[int] = 1,
        normalization: ops.Normalization = "area",
        mask_update: ops.MaskUpdate = "keep",
        fill_value: float = 0.0,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "he_normal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(filters, int) or filters < 1:
            raise ValueError(f"`filters` must be a positive integer. Received: {filters!r}")
        self.filters = filters
        self.strides = read_pair(strides, "strides")
        self.padding = read_choice(padding, ops.PADDINGS, "padding")
        read_kernel_size = read_odd_pair if self.padding == "same" else read_pair
        self.kernel_size = read_kernel_size(kernel_size, "kernel_size")
        self.dilation_rate = read_pair(dilation_rate, "dilation_rate")
        self.normalization = read_choice(normalization, ops.NORMALIZATIONS, "normalization")
        self.mask_update = read_choice(mask_update, ops.MASK_UPDATES, "mask_update")
        self.fill_value = float(fill_value)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape: Any) -> None:
        """Create the kernel and the bias for features of a known number of channels."""
        channels = input_shape[0][-1]
        if channels is None:
            raise ValueError(f"the number of channels must be known. Received: {input_shape[0]}")
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = (
            self.add_weight(name="bias", shape=(self.filters,), initializer=self.bias_initializer)
            if self.use_bias
            else None
        )

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Convolve the valid pixels and say which outputs are valid."""
        x, mask = inputs
        check_mask(mask)
        place = (self.strides, self.padding, self.dilation_rate)
        kernel = keras.ops.convert_to_tensor(self.kernel)
        z = ops.convolve(ops.fill_invalid(x, mask), kernel, *place)
        count = ops.count_valid(mask, self.kernel_size, *place)
        area = self.kernel_size[0] * self.kernel_size[1]
        y = z * keras.ops.cast(ops.coverage_scale(count, area, self.normalization), z.dtype)
        if self.bias is not None:
            y = y + keras.ops.convert_to_tensor(self.bias)
        updated = ops.update_mask(mask, count, self.kernel_size, *place, self.mask_update)
        return ops.fill_invalid(self.activation(y), updated, self.fill_value), updated

    def get_config(self) -> dict[str, Any]:
        """Give the arguments that make this layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "normalization": self.normalization,
            "mask_update": self.mask_update,
            "fill_value": self.fill_value,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
