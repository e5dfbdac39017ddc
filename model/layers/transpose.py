"""Transposed convolution of the valid pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_same_size, read_channels, read_inputs, read_positive
from model.layers.convolution import OutputArguments
from model.layers.partial import Coverage, PartialConvolution


@keras.saving.register_keras_serializable("lacuna")
class PartialConv2DTranspose(PartialConvolution):
    """Transposed 2-D convolution of the valid pixels, rescaled by their number at each output.

        z   = conv_transpose(where(m, x, 0), w)
        cnt = conv_transpose(m, ones)       valid pixels that reach an output
        y   = z * scale(cnt) + b
        m'  = the finer mask where cnt > 0, or without one each pixel's own s × s cell
        y   = where(m', y, fill_value)

    Output o takes the tap o - i · s + (k - s) // 2 from input i, whatever the size. The number of
    taps that reach an output depends on its phase in the cell: (k / s)² where s divides k;
    otherwise it varies, which causes the checkerboard of plain transposed convolutions. It
    replaces the k² of `PartialConv2D`, so `"mean"` removes the checkerboard.

    Args:
        filters: number of output channels.
        kernel_size: one integer or two, not less than the strides.
        strides: one integer or two: height and width of the cell that a pixel becomes.
        normalization: scale(cnt), 0 where cnt is 0, with a the number of taps that reach the
            output's phase: `"none"` 1 · `"mean"` 1 / cnt · `"area"` a / cnt, which equals a plain
            transposed convolution where all is valid · `"variance"` sqrt(a / cnt).
        **kwargs: `OutputArguments`; the kernel is (kh, kw, filters, C) as in Keras.

    Call arguments:
        inputs: `[x, mask]` or `[x, mask, finer]`: float (N, H, W, C), any value under the mask;
            bool (N, H, W, 1); bool (N, H · sy, W · sx, 1), the mask of the finer level, or the
            extent of the image to fill holes.

    Returns:
        `(y, mask)`: float (N, H · sy, W · sx, filters), bool (N, H · sy, W · sx, 1).

    Raises:
        ValueError: for an argument outside its choices, a kernel smaller than its strides, or a
            mask that is not bool (N, H, W, 1) or not of the size of x.

    Examples:
        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> y, mask = PartialConv2DTranspose(8, 4, strides=2)([x, mask])
        >>> y.shape, mask.shape
        (TensorShape([1, 16, 12, 8]), TensorShape([1, 16, 12, 1]))

    Reference:
        Liu et al. 2018, arXiv:1804.07723, transposed; Odena et al. 2016, Deconvolution and
        Checkerboard Artifacts, doi:10.23915/distill.00003.
    """

    fixed = ("padding", "dilation_rate", "mask_update")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 2,
        normalization: ops.Normalization = "area",
        **kwargs: Unpack[OutputArguments],
    ) -> None:
        self._refuse_fixed(kwargs)
        super().__init__(
            kernel_size,
            strides,
            padding="valid",  # permits kernels with even sides
            normalization=normalization,
            **kwargs,
        )
        self.filters = read_positive(filters, "filters")
        if any(k < s for k, s in zip(self.kernel_size, self.strides, strict=True)):
            raise ValueError(
                f"`kernel_size` must not be less than strides {self.strides}, or some outputs have "
                f"no input. Received: {kernel_size!r}"
            )

    def build(self, input_shape: Any) -> None:
        """Create the kernel and the bias for features of a known number of channels."""
        shape = (*self.kernel_size, self.filters, read_channels(input_shape[0]))
        self.kernel = self._add_kernel(shape, self.kernel_initializer)
        self._add_bias(self.filters)

    def _read(self, inputs: Any) -> tuple[Any, Any, Any]:
        return read_inputs(inputs, "finer")

    def _convolve(self, x: Any) -> Any:
        return ops.convolve_transpose(x, keras.ops.convert_to_tensor(self.kernel), self.strides)

    def _cover(self, mask: Any) -> Coverage:
        count = ops.count_valid_transpose(mask, self.kernel_size, self.strides)
        size = tf.shape(mask)
        area = ops.transpose_area(self.kernel_size, self.strides)
        return Coverage(count, tf.tile(area, [1, size[1], size[2], 1]))

    def _update(self, mask: Any, extent: Any, coverage: Coverage) -> Any:
        if extent is None:
            return ops.upsample_nearest(mask, self.strides)
        check_same_size(extent, coverage.count, "finer")
        return tf.logical_and(extent, coverage.count > 0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "filters": self.filters}
