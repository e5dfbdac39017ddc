"""Partial convolutions of each channel by itself, with or without mixing channels afterwards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import keras

from model import ops
from model.layers.arguments import read_channels, read_positive
from model.layers.convolution import PartialArguments
from model.layers.partial import PartialConvolution


class _Depthwise(PartialConvolution):
    """Abstract: a partial convolution with a depthwise kernel (kh, kw, C, depth_multiplier)."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        *,
        depth_multiplier: int = 1,
        **kwargs: Unpack[PartialArguments],
    ) -> None:
        super().__init__(kernel_size, strides, **kwargs)
        self.depth_multiplier = read_positive(depth_multiplier, "depth_multiplier")
        if self.strides[0] != self.strides[1]:
            raise ValueError(f"`strides` must be equal in both directions. Received: {strides!r}")
        if self.strides != (1, 1) and self.dilation_rate != (1, 1):
            raise ValueError(
                "only one of `strides` and `dilation_rate` may differ from 1. Received: "
                f"{self.strides!r} and {self.dilation_rate!r}"
            )

    @abstractmethod
    def build(self, input_shape: Any) -> None:
        """Create the weights."""

    def _add_depthwise_kernel(self, channels: int, name: str) -> Any:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        return self._add_kernel(shape, _per_channel(self.kernel_initializer), name=name)

    def _convolve_depthwise(self, x: Any, kernel: Any) -> Any:
        return ops.convolve_depthwise(x, keras.ops.convert_to_tensor(kernel), *self._window)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


def _per_channel(initializer: Callable[..., Any]) -> Callable[..., Any]:
    """Draw a depthwise kernel for its fan-in: an output reads kh · kw numbers, not kh · kw · C."""

    def draw(shape: tuple[int, ...], dtype: Any = None) -> Any:
        height, width, channels, multiplier = shape
        drawn = initializer((height, width, 1, channels * multiplier), dtype=dtype)
        return keras.ops.reshape(drawn, shape)

    return draw


@keras.saving.register_keras_serializable("lacuna")
class DepthwisePartialConv2D(_Depthwise):
    """Partial convolution of every channel by itself.

        z_c = conv(where(m, x_c, 0), w_c)   for each channel c
        y   = z * scale(cnt) + b;  y = where(m', y, fill_value)

    cnt, scale and m' are those of `PartialConv2D`: a pixel is valid in all channels or in none.

    Args:
        kernel_size: one integer or two; odd for `padding="same"`.
        strides: one integer, or two that are equal.
        depth_multiplier: filters for each channel.
        **kwargs: `PartialArguments`; dilation needs strides of 1, and the fan-in of the kernel's
            initializer is kh · kw.

    Call arguments:
        inputs: `[x, mask]`, or with `mask_update="any"` `[x, mask, extent]`, as in `PartialConv2D`.

    Returns:
        `(y, mask)`: float (N, H', W', C · depth_multiplier), bool (N, H', W', 1).

    Raises:
        ValueError: as in `PartialConv2D`; for strides that differ; for a stride with a dilation.

    Examples:
        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> y, mask = DepthwisePartialConv2D(3, depth_multiplier=2)([x, mask])
        >>> y.shape
        TensorShape([1, 8, 6, 6])

    Reference:
        Chollet 2017, arXiv:1610.02357, with the normalisation of Liu et al. 2018, arXiv:1804.07723.
    """

    def build(self, input_shape: Any) -> None:
        """Create the kernel and the bias for features of a known number of channels."""
        channels = read_channels(input_shape[0])
        self.kernel = self._add_depthwise_kernel(channels, "kernel")
        self._add_bias(channels * self.depth_multiplier)

    def _convolve(self, x: Any) -> Any:
        return self._convolve_depthwise(x, self.kernel)


@keras.saving.register_keras_serializable("lacuna")
class SeparablePartialConv2D(_Depthwise):
    """Depthwise partial convolution, followed by a 1 × 1 convolution that mixes the channels.

        z   = conv(where(m, x, 0), w_depthwise, channel by channel)
        y   = conv(z, w_pointwise) * scale(cnt) + b;  y = where(m', y, fill_value)

    Between the two there is neither bias nor activation, so the scale, one number for each pixel,
    commutes with the second. cnt, scale and m' are those of `PartialConv2D`.

    Args:
        filters: number of output channels.
        kernel_size: one integer or two; odd for `padding="same"`.
        strides: one integer, or two that are equal.
        depth_multiplier: channels between the two convolutions for each channel of x.
        pointwise_initializer: of the second kernel.
        **kwargs: `PartialArguments`; dilation needs strides of 1. `kernel_initializer` is of the
            depthwise kernel, with a fan-in of kh · kw; `kernel_regularizer` is of both kernels.

    Call arguments:
        inputs: `[x, mask]`, or with `mask_update="any"` `[x, mask, extent]`, as in `PartialConv2D`.

    Returns:
        `(y, mask)`: float (N, H', W', filters), bool (N, H', W', 1).

    Raises:
        ValueError: as in `PartialConv2D`; for strides that differ; for a stride with a dilation.

    Examples:
        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> y, mask = SeparablePartialConv2D(16, 3, strides=2)([x, mask])
        >>> y.shape, mask.shape
        (TensorShape([1, 4, 3, 16]), TensorShape([1, 4, 3, 1]))

    Reference:
        Chollet 2017, arXiv:1610.02357, with the normalisation of Liu et al. 2018, arXiv:1804.07723.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        *,
        depth_multiplier: int = 1,
        pointwise_initializer: Any = "he_normal",
        **kwargs: Unpack[PartialArguments],
    ) -> None:
        super().__init__(kernel_size, strides, depth_multiplier=depth_multiplier, **kwargs)
        self.filters = read_positive(filters, "filters")
        self.pointwise_initializer = keras.initializers.get(pointwise_initializer)

    def build(self, input_shape: Any) -> None:
        """Create both kernels and the bias for features of a known number of channels."""
        channels = read_channels(input_shape[0])
        self.depthwise_kernel = self._add_depthwise_kernel(channels, "depthwise_kernel")
        self.pointwise_kernel = self._add_kernel(
            (1, 1, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            name="pointwise_kernel",
        )
        self._add_bias(self.filters)

    def _convolve(self, x: Any) -> Any:
        z = self._convolve_depthwise(x, self.depthwise_kernel)
        return ops.convolve(z, keras.ops.convert_to_tensor(self.pointwise_kernel))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "pointwise_initializer": keras.initializers.serialize(self.pointwise_initializer),
        }
