"""Layers of exported networks: the same results in fewer passes over the features.

They multiply where the layers for training select, so their inputs must be finite.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_mask, read_channels, read_positive


@keras.saving.register_keras_serializable("lacuna")
class EmbedMask(keras.layers.Layer):
    """Padding, zeroing of invalid pixels and appending of the mask as a channel, in two passes.

    The same as `PadToMultiple`, `FillInvalid` and `AppendMask` one after the other. A channel of
    ones is padded on along with the rows and columns, and the selection that sets invalid pixels to
    0 turns it into the mask.

    Args:
        multiple: of the sides.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), any value under the mask; bool (N, H, W, 1).

    Returns:
        `(x, mask)` of the padded size: float (N, H', W', C + 1), bool (N, H', W', 1).

    Raises:
        ValueError: if `multiple` is not a positive integer, or the mask not bool (N, H, W, 1).

    Examples:
        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> y, mask = EmbedMask(4)([x, mask])
        >>> y.shape, mask.shape
        (TensorShape([1, 8, 8, 4]), TensorShape([1, 8, 8, 1]))
    """

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple = read_positive(multiple, "multiple")

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Pad both and select."""
        x, mask = inputs
        check_mask(mask)
        _, height, width, _ = tf.unstack(tf.shape(mask))
        bottom, right = -height % self.multiple, -width % self.multiple
        sides = [[0, 0], [0, bottom], [0, right]]
        padded_mask = tf.pad(mask, [*sides, [0, 0]])
        padded = tf.pad(x, [*sides, [0, 1]], constant_values=1)
        padded.set_shape((x.shape[0], None, None, x.shape[-1] + 1))
        return ops.fill_invalid(padded, padded_mask), padded_mask

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable("lacuna")
class CutUpSampling2D(keras.layers.Layer):
    """Nearest-neighbour upsampling by 2 and masking with the finer mask, as one product.

    The same as `MaskedUpSampling2D` where features are finite.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), finite; bool (N, 2 · H, 2 · W, 1).

    Returns:
        float (N, 2 · H, 2 · W, C), 0 where the mask is invalid.

    Raises:
        ValueError: for a mask that is not bool (N, H, W, 1).

    Examples:
        >>> x = tf.constant([1.0, 2.0], shape=(1, 1, 2, 1))
        >>> finer = tf.constant([[1, 1, 0, 1], [1, 1, 0, 1]], shape=(1, 2, 4, 1)) > 0
        >>> CutUpSampling2D()([x, finer])[0, 0].numpy().ravel()
        array([1., 1., 0., 2.], dtype=float32)
    """

    def call(self, inputs: Any) -> Any:
        """Multiply each coarse pixel by the four mask pixels that it covers."""
        x, mask = inputs
        check_mask(mask)
        n, h, w, _ = tf.unstack(tf.shape(x))
        channels = x.shape[-1]
        coarse = tf.reshape(x, [n * h, 1, w, 1, channels])
        fine = tf.reshape(tf.cast(mask, x.dtype), [n * h, 2, w, 2, 1])
        return tf.reshape(coarse * fine, [n, 2 * h, 2 * w, channels])


@keras.saving.register_keras_serializable("lacuna")
class ScaleAndShift(keras.layers.Layer):
    """Scaling of the sums of a convolution, then an offset: `y = x · scale + shift`.

    The rest of a unit whose normalisation is folded into its kernel. The output is not masked: it
    is `shift` where the scale is 0.

    Call arguments:
        inputs: `[x, scale]`: float (N, H, W, C), finite; float (N, H, W, 1), from `CoverageScale`.

    Returns:
        Like x.

    Examples:
        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> ScaleAndShift()([x, CoverageScale(3)(mask)]).shape
        TensorShape([1, 8, 6, 3])
    """

    def build(self, input_shape: Any) -> None:
        """Create the offset."""
        channels = read_channels(input_shape[0])
        self.shift = self.add_weight(name="shift", shape=(channels,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Multiply, add."""
        x, scale = inputs
        return x * scale + keras.ops.cast(self.shift, x.dtype)
