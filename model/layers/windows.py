"""Layers of converted networks: windows on a grid whose phase is the same in every canvas.

Output q reads the pixels q · stride - before + t · dilation, t = 0 … k - 1, whatever the size, a
multiple of the stride. `before` is a fixed number, so it also says how a network that was
trained with TensorFlow's SAME, or with layers of padding, aligns its windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_mask, read_channels, read_pair, read_positive


class _Windowed(keras.layers.Layer):
    """Abstract: a layer whose outputs read windows of the input.

    Args:
        kernel_size: height and width.
        stride: vertical and horizontal; the input's sides are multiples of it.
        before: pixels of the first window above and left of the image; negative where it starts
            inside.
        dilation_rate: of the kernel, vertical and horizontal.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int = 1,
        before: Sequence[int] = (0, 0),
        dilation_rate: int | Sequence[int] = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = read_pair(kernel_size, "kernel_size")
        self.stride = read_positive(stride, "stride")
        self.before = int(before[0]), int(before[1])
        self.dilation_rate = read_pair(dilation_rate, "dilation_rate")

    @property
    def _strides(self) -> tuple[int, int]:
        return self.stride, self.stride

    @property
    def _spans(self) -> list[int]:
        return [(k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)]

    def _pad(self, values: Any, constant: Any = 0) -> Any:
        """Pad, or crop, so that windows without padding are those of this layer."""
        sides = [[0, 0], [0, 0], [0, 0], [0, 0]]
        for axis, (span, before) in enumerate(zip(self._spans, self.before, strict=True), start=1):
            sides[axis] = [max(before, 0), max(span - self.stride - before, 0)]
        values = values[:, max(-self.before[0], 0) :, max(-self.before[1], 0) :]
        if not any(any(side) for side in sides):
            return values
        return tf.pad(values, sides, constant_values=tf.cast(constant, values.dtype))

    def _is_centred(self) -> bool:
        """Return whether a stride of 1 and SAME padding give these windows, without a copy."""
        return self.stride == 1 and all(
            span % 2 == 1 and before == span // 2
            for span, before in zip(self._spans, self.before, strict=True)
        )

    def _prepare(self, values: Any) -> tuple[Any, ops.Padding]:
        return (values, "same") if self._is_centred() else (self._pad(values), "valid")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "before": self.before,
            "dilation_rate": self.dilation_rate,
        }


@keras.saving.register_keras_serializable("lacuna")
class WindowCoverage(_Windowed):
    """Factor that rescales sums over windows and masks them, in one map.

        area / number of valid pixels in the window where the output is valid, 0 elsewhere

    Call arguments:
        inputs: `[mask, coarse]`: bool (N, H, W, 1) of the input, bool (N, H / s, W / s, 1) of the
            output.

    Returns:
        float (N, H / s, W / s, 1); 0 where no pixel of the window is valid, too.

    Raises:
        ValueError: for a mask that is not bool (N, H, W, 1).

    Reference:
        Liu et al. 2018, arXiv:1804.07723.
    """

    def call(self, inputs: Any) -> Any:
        """Count and divide."""
        mask, coarse = inputs
        check_mask(mask)
        check_mask(coarse)
        values, padding = self._prepare(mask)
        count = ops.count_valid(
            values, self.kernel_size, self._strides, padding, self.dilation_rate
        )
        scale = ops.coverage_scale(count, self.kernel_size[0] * self.kernel_size[1], "area")
        return keras.ops.cast(scale * tf.cast(coarse, tf.float32), self.compute_dtype)


class _WindowedConvolution(_Windowed):
    """Abstract: a convolution whose sums are scaled, and to which a bias is added afterwards."""

    def __init__(self, *args: Any, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_bias = bool(use_bias)
        self.kernel: Any = None
        self.bias: Any = None

    def _add_weights(self, shape: tuple[int, ...], filters: int) -> None:
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="he_normal")
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(filters,), initializer="zeros")

    def _finish(self, y: Any, coverage: Any) -> Any:
        y = y * coverage
        return y if self.bias is None else y + keras.ops.convert_to_tensor(self.bias)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "use_bias": self.use_bias}


@keras.saving.register_keras_serializable("lacuna")
class WindowConv2D(_WindowedConvolution):
    """Convolution of features that are 0 where invalid: `y = conv(x, w) * coverage + b`.

    The output is not masked: it is `b` where the coverage is 0.

    Args:
        filters: number of output channels.
        *args: of the windows.
        groups: number of parts into which channels and filters are divided.
        **kwargs: of the windows, `use_bias`, and of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, coverage]`: float (N, H, W, C), 0 where invalid; float (N, H / s, W / s, 1),
            from `WindowCoverage`.

    Returns:
        float (N, H / s, W / s, filters).
    """

    def __init__(self, filters: int, *args: Any, groups: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters = read_positive(filters, "filters")
        self.groups = read_positive(groups, "groups")

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        channels = read_channels(input_shape[0]) // self.groups
        self._add_weights((*self.kernel_size, channels, self.filters), self.filters)

    def call(self, inputs: Any) -> Any:
        """Convolve, scale, add the bias."""
        x, *others = inputs
        values, padding = self._prepare(x)
        kernel = keras.ops.convert_to_tensor(self.kernel)
        y = ops.convolve(values, kernel, self._strides, padding, self.dilation_rate, self.groups)
        return self._finish(y, *others)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


@keras.saving.register_keras_serializable("lacuna")
class WindowDepthwiseConv2D(_WindowedConvolution):
    """Convolution of each channel by itself: `y = conv(x, w) * coverage + b`.

    Args:
        *args: of the windows.
        depth_multiplier: filters for each channel.
        **kwargs: of the windows, `use_bias`, and of `keras.layers.Layer`.

    Call arguments:
        inputs: as in `WindowConv2D`.

    Returns:
        float (N, H / s, W / s, C · depth_multiplier).
    """

    def __init__(self, *args: Any, depth_multiplier: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.depth_multiplier = read_positive(depth_multiplier, "depth_multiplier")

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        channels = read_channels(input_shape[0])
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self._add_weights(shape, channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        """Convolve, scale, add the bias."""
        x, *others = inputs
        values, padding = self._prepare(x)
        kernel = keras.ops.convert_to_tensor(self.kernel)
        y = ops.convolve_depthwise(values, kernel, self._strides, padding, self.dilation_rate)
        return self._finish(y, *others)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


@keras.saving.register_keras_serializable("lacuna")
class WindowMaxPooling2D(_Windowed):
    """Maximum of the valid pixels of each window, 0 where there are none.

    Call arguments:
        inputs: `[x, mask, coverage]`: float (N, H, W, C), bool (N, H, W, 1), and float (N, H / s,
            W / s, 1), from `WindowCoverage`.

    Returns:
        float (N, H / s, W / s, C), 0 where the coverage is.
    """

    def call(self, inputs: Any) -> Any:
        """Pool."""
        x, mask, coverage = inputs
        lowest = x.dtype.min
        values = self._pad(ops.fill_invalid(x, mask, lowest), lowest)
        pooled = tf.nn.max_pool2d(values, self.kernel_size, self._strides, "VALID")
        return ops.fill_invalid(pooled, coverage > 0)


@keras.saving.register_keras_serializable("lacuna")
class WindowAveragePooling2D(_Windowed):
    """Mean of the valid pixels of each window, 0 where there are none.

    Call arguments:
        inputs: as in `WindowConv2D`.

    Returns:
        float (N, H / s, W / s, C), 0 where the coverage is.
    """

    def call(self, inputs: Any) -> Any:
        """Pool."""
        x, coverage = inputs
        return tf.nn.avg_pool2d(self._pad(x), self.kernel_size, self._strides, "VALID") * coverage
