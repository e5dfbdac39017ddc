"""Training loss over valid pixels only."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model.labels import IGNORE_LABEL


@keras.saving.register_keras_serializable("lacuna")
class MaskedCrossEntropy(keras.losses.Loss):
    """Cross-entropy as a mean over the labelled pixels of each image, then over the images.

    Every image has the same weight, however few of its pixels are labelled; an image without any
    is ignored.

    Args:
        name: of the loss.
        **kwargs: of `keras.losses.Loss`.

    Call arguments:
        y_true: integer (N, H, W): class ids, `IGNORE_LABEL` where invalid or unknown.
        y_pred: float (N, H, W, K): logits.
    """

    def __init__(self, name: str = "masked_cross_entropy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss as a float32 scalar, 0 if no pixel is labelled."""
        labels = tf.cast(y_true, tf.int32)
        known = labels != IGNORE_LABEL
        # Selected before the logarithm, because NaN times a weight of 0 is NaN.
        logits = tf.where(known[..., None], tf.cast(y_pred, tf.float32), 0.0)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(known, labels, 0), logits)
        weights = tf.cast(known, tf.float32)
        pixels = tf.reduce_sum(weights, axis=[1, 2])
        means = tf.reduce_sum(each * weights, axis=[1, 2]) / tf.maximum(pixels, 1.0)
        images = tf.reduce_sum(tf.cast(pixels > 0, tf.float32))
        return tf.reduce_sum(means) / tf.maximum(images, 1.0)
