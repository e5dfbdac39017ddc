"""Convolution of the valid pixels alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import keras

from model import ops
from model.layers.arguments import read_channels, read_positive
from model.layers.convolution import PartialArguments
from model.layers.partial import PartialConvolution


@keras.saving.register_keras_serializable("lacuna")
class PartialConv2D(PartialConvolution):
    """2-D convolution over the valid pixels alone, rescaled by their number.

    With `x` the features, `m` the mask, `w` the kernel, `b` the bias and k² the kernel's area:

        z   = conv(where(m, x, 0), w)
        cnt = conv(m, ones)                 valid pixels under the kernel
        y   = z * scale(cnt) + b
        m'  = update(m)
        y   = where(m', y, fill_value)

    The bias is not scaled. Pixels outside the image count as invalid.

    Args:
        filters: number of output channels.
        kernel_size: one integer or two; odd for `padding="same"`.
        strides: one integer or two.
        groups: number of parts into which channels and filters are divided; each part of the
            filters reads its own part of the channels. Counts do not depend on it: a pixel is
            valid in all channels or in none.
        **kwargs: `PartialArguments`, which define scale(cnt) and update(m).

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), with any value under the mask, NaN included; bool
            (N, H, W, 1). With `mask_update="any"` also `[x, mask, extent]`: bool
            (N, H, W, 1), True over the image and False over its padding; m' is then cnt > 0 where
            the output's block holds a pixel of the image (`MaskMaxPooling2D(strides)` of the
            extent is that of the next layer).

    Returns:
        `(y, mask)`: float (N, H', W', filters), bool (N, H', W', 1).

    Raises:
        ValueError: for an argument outside its choices, an even kernel with `padding="same"`,
            groups that do not divide channels and filters, an extent where masks do not grow, or a
            mask that is not bool (N, H, W, 1) or not of the size of x.

    Examples:
        A mean over the valid pixels: NaN under the mask is never read.

        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> layer = PartialConv2D(1, (1, 3), normalization="mean", kernel_initializer="ones")
        >>> y, kept = layer([x, mask])
        >>> y.numpy().ravel()
        array([3., 3., 0., 0.], dtype=float32)

    Reference:
        Liu et al. 2018, Image Inpainting for Irregular Holes Using Partial Convolutions,
        arXiv:1804.07723; the border as invalid: Liu et al. 2018, arXiv:1811.11718.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        *,
        groups: int = 1,
        **kwargs: Unpack[PartialArguments],
    ) -> None:
        super().__init__(kernel_size, strides, **kwargs)
        self.filters = read_positive(filters, "filters")
        self.groups = read_positive(groups, "groups")
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
        return ops.convolve(x, kernel, *self._window, self.groups)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}
