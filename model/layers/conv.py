"""Convolutions that count only what is valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from model import ops
from model.layers.arguments import read_channels, read_whole
from model.layers.partial import PartialConvolution


@keras.saving.register_keras_serializable("lacuna")
class PartialConv2D(PartialConvolution):
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
        groups: into how many parts channels and filters are cut, each part of the filters reading
            its own part of the channels. Counts do not depend on it: a pixel is valid or not in
            all channels.
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
            such layers gives other results in another canvas**, unless each is told the image's
            `extent`, over which it then does not grow;
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
            included; bool (N, H, W, 1). With `mask_update="any"` also `[x, mask, extent]`: bool
            (N, H, W, 1), True over the image and False over its padding; m' is then cnt > 0 where
            the output's block holds a pixel of the image (`MaskMaxPooling2D(strides)` of the
            extent is that of the next layer).

    Returns:
        `(y, mask)`: float (N, H', W', filters), bool (N, H', W', 1).

    Raises:
        ValueError: for an argument outside its choices, an even kernel with `padding="same"`,
            groups that do not divide channels and filters, an extent where masks do not grow, or a
            mask that is not bool (N, H, W, 1) or of another size than x.

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
        groups: int = 1,
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
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            normalization,
            mask_update,
            fill_value,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            **kwargs,
        )
        self.filters = read_whole(filters, "filters")
        self.groups = read_whole(groups, "groups")
        if self.filters % self.groups:
            raise ValueError(f"`groups` must divide {filters} filters. Received: {groups}")

    def build(self, input_shape: Any) -> None:
        """Create the kernel and the bias for features of a known number of channels."""
        channels = read_channels(input_shape[0])
        if channels % self.groups:
            raise ValueError(f"`groups` must divide {channels} channels. Received: {self.groups}")
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self._add_kernel(shape, self.kernel_initializer)
        self._add_bias(self.filters)

    def _convolve(self, x: Any) -> Any:
        kernel = keras.ops.convert_to_tensor(self.kernel)
        return ops.convolve(x, kernel, *self._place, self.groups)

    def get_config(self) -> dict[str, Any]:
        """Give the arguments that make this layer again."""
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}
