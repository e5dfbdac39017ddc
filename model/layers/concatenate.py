"""Concatenation of feature maps and masks."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model.layers.arguments import check_features, read_inputs


@keras.saving.register_keras_serializable("lacuna")
class MaskedConcatenate(keras.layers.Layer):
    """Concatenation of feature maps along their channels; valid where any of the masks is.

    Features must be 0 where their own mask is invalid, as in the output of `PartialConv2D` with a
    `fill_value` of 0 and of `MaskedUpSampling2D`; use `FillInvalid` after any other layer. They are
    not masked again here.

    Call arguments:
        inputs: `[x1, mask1, x2, mask2, …]`: float (N, H, W, C1), bool (N, H, W, 1), …

    Returns:
        `(x, mask)`: float (N, H, W, C1 + C2 + …), bool (N, H, W, 1).

    Raises:
        ValueError: unless each feature map comes with a mask that is bool (N, H, W, 1) and of its
            size.

    Examples:
        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> y, mask = MaskedConcatenate()([x, mask, x, mask])
        >>> y.shape
        TensorShape([1, 8, 6, 6])
    """

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Concatenate the features and unite the masks."""
        features, masks = inputs[::2], inputs[1::2]
        if not masks or len(features) != len(masks):
            raise ValueError(f"each feature map needs a mask. Received: {len(inputs)} tensors")
        united = masks[0]
        for x, mask in zip(features, masks, strict=True):
            check_features(x, mask)
            if mask is not united:
                united = tf.logical_or(united, mask)
        return tf.concat(features, axis=-1), united


@keras.saving.register_keras_serializable("lacuna")
class AppendMask(keras.layers.Layer):
    """Features with the mask as one more channel, 1 where valid and 0 elsewhere.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), bool (N, H, W, 1).

    Returns:
        float (N, H, W, C + 1).

    Raises:
        ValueError: for a mask that is not bool (N, H, W, 1) or not of the size of x.

    Examples:
        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> AppendMask()([x, mask]).shape
        TensorShape([1, 8, 6, 4])
    """

    def call(self, inputs: Any) -> Any:
        """Cast and concatenate."""
        x, mask, _ = read_inputs(inputs)
        return tf.concat([x, tf.cast(mask, x.dtype)], axis=-1)
