"""Convolution of data with a confidence for each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, get_args

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import (
    check_mask,
    check_same_size,
    read_channels,
    read_choice,
    read_positive,
)
from model.layers.convolution import Convolution, WeightArguments

Applicability = Literal["softplus", "exp"]

# Below every meaningful confidence; keeps the division and its gradient finite.
_LEAST_WEIGHT = 1e-12


@keras.saving.register_keras_serializable("lacuna")
class NormalizedConv2D(Convolution):
    """Normalised convolution: a mean weighted by an applicability and each pixel's confidence.

        a  = softplus(w) or exp(w)          applicability, never negative
        y  = conv(x · c, a) / conv(c, a) + b
        c' = conv(c, Σ a) / Σ a             Σ over channels and filters, so that one map stays one
        y  = where(c' > 0, y, 0)

    x is never read where c is 0. The output of every filter is a mean, within the range of its
    inputs. So the layer interpolates but cannot take differences, and is used before layers that
    can.

    Confidence grows by the kernel's radius in every layer, over padding too, which the next layer
    then reads: **a network of several such layers gives other results in another canvas**, unless
    each receives the image's `extent`, beyond which the confidence then is 0.

    Args:
        filters: number of output channels.
        kernel_size: one integer or two; odd for `padding="same"`.
        strides: one integer or two.
        padding: as in `PartialArguments`.
        dilation_rate: one integer or two.
        applicability: function that makes w non-negative, `"softplus"` or `"exp"`.
        **kwargs: `WeightArguments`; `kernel_initializer` is of w before it is made non-negative.

    Call arguments:
        inputs: `[x, confidence]` or `[x, confidence, extent]`: float (N, H, W, C), any value where
            confidence is 0; float (N, H, W, 1), cut to 0 … 1 and 0 where it is NaN, or a bool mask,
            which counts as 0 or 1; bool (N, H, W, 1), True over the image and False over its
            padding.

    Returns:
        `(y, confidence)`: float (N, H', W', filters); float32 (N, H', W', 1) in 0 … 1.

    Raises:
        ValueError: for an argument outside its choices, an even kernel with `padding="same"`, or a
            confidence or extent that is not (N, H, W, 1) or not of the size of x.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> layer = NormalizedConv2D(1, (1, 3), kernel_initializer="zeros")  # equal weights
        >>> y, confidence = layer([x, mask])
        >>> y.numpy().round(3).ravel()  # the third pixel is filled from its neighbour
        array([3., 3., 5., 0.], dtype=float32)

    Reference:
        Knutsson & Westin 1993, Normalized and Differential Convolution,
        doi:10.1109/CVPR.1993.341081; learnt, with propagated confidence: Eldesokey, Felsberg & Khan
        2018, arXiv:1811.01791.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: ops.Padding = "same",
        dilation_rate: int | Sequence[int] = 1,
        applicability: Applicability = "softplus",
        **kwargs: Unpack[WeightArguments],
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding=padding,
            dilation_rate=dilation_rate,
            # Confidences and their sums stay float32 under every policy.
            autocast=False,
            **kwargs,
        )
        self.filters = read_positive(filters, "filters")
        self.applicability = read_choice(applicability, get_args(Applicability), "applicability")

    def build(self, input_shape: Any) -> None:
        """Create the kernel and the bias for features of a known number of channels."""
        shape = (*self.kernel_size, read_channels(input_shape[0]), self.filters)
        self.kernel = self._add_kernel(shape, self.kernel_initializer, autocast=False)
        self._add_bias(self.filters, autocast=False)

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Return the mean of the confident pixels, and the new confidence."""
        x, confidence, extent = _read_inputs(inputs)
        known = confidence > 0
        x = keras.ops.cast(ops.fill_invalid(x, known), self.compute_dtype)
        kernel = keras.ops.convert_to_tensor(self.kernel)
        a = tf.exp(kernel) if self.applicability == "exp" else tf.math.softplus(kernel)

        weighted = x * keras.ops.cast(confidence, x.dtype)
        total = ops.convolve(weighted, keras.ops.cast(a, x.dtype), *self._window)
        of_filters = tf.reduce_sum(a, axis=2, keepdims=True)
        weight = tf.maximum(ops.convolve(confidence, of_filters, *self._window), _LEAST_WEIGHT)
        of_pixels = tf.reduce_sum(of_filters, axis=3, keepdims=True)
        seen = ops.convolve(confidence, of_pixels, *self._window) / tf.reduce_sum(a)
        if extent is not None:
            size = tf.shape(seen)[1:3]
            inside = ops.keep_mask(extent, size, self.kernel_size, *self._window)
            seen = ops.fill_invalid(seen, inside)

        y = keras.ops.cast(total, "float32") / weight
        if self.bias is not None:
            y = y + keras.ops.convert_to_tensor(self.bias)
        y = ops.fill_invalid(y, seen > 0)
        return keras.ops.cast(y, self.compute_dtype), tf.minimum(seen, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "applicability": self.applicability,
        }


def _read_inputs(inputs: Any) -> tuple[Any, Any, Any]:
    number = len(inputs) if isinstance(inputs, list | tuple) else 1
    if number not in (2, 3):
        raise ValueError(
            "the inputs must be [x, confidence] or [x, confidence, extent]. Received: "
            f"{number} tensors"
        )
    x, confidence, *rest = inputs
    for extent in rest:
        check_mask(extent)
        check_same_size(extent, x, "extent")
    is_number = confidence.dtype.is_floating or confidence.dtype.is_bool
    if not is_number or len(confidence.shape) != 4 or confidence.shape[-1] != 1:
        raise ValueError(
            "`confidence` must be float or bool of shape (N, H, W, 1). Received: "
            f"{confidence.dtype.name} of shape {tuple(confidence.shape)}"
        )
    check_same_size(confidence, x, "confidence")
    confidence = tf.cast(confidence, tf.float32)
    # NaN is not > 0, so it becomes 0.
    confidence = tf.where(confidence > 0, tf.minimum(confidence, 1.0), 0.0)
    return x, confidence, rest[0] if rest else None
