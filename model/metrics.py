"""Segmentation metrics over valid pixels only."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.labels import IGNORE_LABEL


@keras.saving.register_keras_serializable("lacuna")
class MaskedMeanIoU(keras.metrics.Metric):
    """Mean over the classes of intersection / union, accumulated over all labelled pixels.

    A class that occurs neither in the labels nor in the predictions is ignored.

    Args:
        classes: number of classes.
        name: of the metric.
        **kwargs: of `keras.metrics.Metric`.
    """

    def __init__(self, classes: int, name: str = "mean_iou", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.classes = classes
        self.confusion = self.add_weight(
            name="confusion", shape=(classes, classes), initializer="zeros", dtype="float64"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: integer (N, H, W): class ids, `IGNORE_LABEL` where invalid or unknown.
            y_pred: float (N, H, W, K): logits or probabilities.
            sample_weight: not supported, because the labels express validity.

        Raises:
            ValueError: if `sample_weight` is given.
        """
        if sample_weight is not None:
            raise ValueError("`sample_weight` is not supported; mark pixels with the ignore label")
        labels = tf.reshape(tf.cast(y_true, tf.int32), [-1])
        predicted = tf.reshape(tf.argmax(y_pred, axis=-1, output_type=tf.int32), [-1])
        known = labels != IGNORE_LABEL
        self.confusion.assign_add(
            tf.math.confusion_matrix(
                tf.boolean_mask(labels, known),
                tf.boolean_mask(predicted, known),
                self.classes,
                dtype=tf.float64,
            )
        )

    def result(self) -> Any:
        """Return the mean, a float64 scalar; 0 if no pixel was labelled."""
        confusion = keras.ops.convert_to_tensor(self.confusion)
        hits = tf.linalg.diag_part(confusion)
        union = tf.reduce_sum(confusion, 0) + tf.reduce_sum(confusion, 1) - hits
        present = tf.cast(union > 0, tf.float64)
        total = tf.reduce_sum(tf.math.divide_no_nan(hits, union))
        return tf.math.divide_no_nan(total, tf.reduce_sum(present))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), "classes": self.classes}


def confusion_matrix(
    truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], classes: int
) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Args:
        truth: integer, any shape; pixels of `IGNORE_LABEL` are left out.
        predicted: integer of the same shape.
        classes: number of classes K.

    Returns:
        int64 (K, K), rows by truth.
    """
    known = truth != IGNORE_LABEL
    pairs = truth[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return intersection / union of each class, NaN for a class that does not occur.

    Args:
        confusion: (K, K), rows by truth.
    """
    hits = np.diag(confusion).astype(float)
    union = confusion.sum(0) + confusion.sum(1) - hits
    return np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
