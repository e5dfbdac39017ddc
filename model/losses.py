"""Training losses over valid pixels only.

Every image has the same weight, however few of its pixels are labelled; an image without any is
ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from model.labels import IGNORE_LABEL

LOSS_TERMS = ("cross-entropy", "focal", "dice", "lovasz")

_PIXEL_TERMS = ("cross-entropy", "focal")
"""Terms that compare single pixels, and can weigh them."""

_FOCUS = 2.0
"""Exponent of the focal loss, as in its paper."""


@keras.saving.register_keras_serializable("lacuna")
class MaskedCrossEntropy(keras.losses.Loss):
    """Cross-entropy as a mean over the labelled pixels of each image, then over the images.

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
        labels, known, logits = _select(y_true, y_pred)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return _average(_average_pixels(each, known), known)


@keras.saving.register_keras_serializable("lacuna")
class MaskedLoss(keras.losses.Loss):
    """Sum of losses, each a mean over images.

    - `"cross-entropy"`: a mean over labelled pixels.
    - `"focal"`: the same times (1 - p)², where p is the probability of the true class, so that
      pixels that are right already count little (Lin et al. 2017, arXiv:1708.02002).
    - `"dice"`: 1 - 2 Σ p g / (Σ p + Σ g), a mean over the classes that an image has, where g is 1
      in pixels of the class (Milletari et al. 2016, arXiv:1606.04797, without squares).
    - `"lovasz"`: the Lovász extension of 1 - IoU, a mean over the classes that an image has (Berman
      et al. 2018, arXiv:1705.08790).

    Args:
        terms: that are added.
        class_weights: factors of the pixels of each class in `"cross-entropy"` and `"focal"`; None
            for 1.
        label_smoothing: part of the target of these two that is spread over all classes.
        name: of the loss.
        **kwargs: of `keras.losses.Loss`.

    Call arguments:
        y_true: integer (N, H, W): class ids, `IGNORE_LABEL` where invalid or unknown.
        y_pred: float (N, H, W, K): logits.

    Raises:
        ValueError: if a term is none of these, the smoothing is not in [0, 1), or weights or a
            smoothing are given without a term that has them.
    """

    def __init__(
        self,
        terms: Sequence[str],
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        name: str = "masked_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        wrong = [term for term in terms if term not in LOSS_TERMS]
        if wrong or not terms:
            raise ValueError(
                f"`terms` must be of {', '.join(LOSS_TERMS)}. "
                f"Received: {', '.join(wrong) or 'none'}"
            )
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"`label_smoothing` must be at least 0 and below 1. Received: {label_smoothing}"
            )
        if (class_weights or label_smoothing) and not set(terms) & set(_PIXEL_TERMS):
            raise ValueError(
                f"`class_weights` and `label_smoothing` need {' or '.join(_PIXEL_TERMS)} among the "
                f"`terms`. Received: {', '.join(terms)}"
            )
        self.terms, self.label_smoothing = tuple(terms), label_smoothing
        self.class_weights = None if class_weights is None else tuple(class_weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss as a float32 scalar, 0 if no pixel is labelled."""
        labels, known, logits = _select(y_true, y_pred)
        measures = dict(
            zip(
                LOSS_TERMS,
                (self._cross_entropy, self._focal, self._dice, self._lovasz),
                strict=True,
            )
        )
        return tf.add_n([measures[term](labels, known, logits) for term in self.terms])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again."""
        return {
            **super().get_config(),
            "terms": self.terms,
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
        }

    def _cross_entropy(self, labels: Any, known: Any, logits: Any) -> Any:
        each = self._weigh(self._compare(labels, logits), labels)
        return _average(_average_pixels(each, known), known)

    def _focal(self, labels: Any, known: Any, logits: Any) -> Any:
        right = tf.exp(-tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        each = self._compare(labels, logits) * (1 - right) ** _FOCUS
        return _average(_average_pixels(self._weigh(each, labels), known), known)

    def _compare(self, labels: Any, logits: Any) -> Any:
        """Return the cross-entropy of each pixel with its smoothed target."""
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        if not self.label_smoothing:
            return each
        spread = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
        return (1 - self.label_smoothing) * each + self.label_smoothing * spread

    def _weigh(self, each: Any, labels: Any) -> Any:
        if self.class_weights is None:
            return each
        return each * tf.gather(tf.constant(self.class_weights, tf.float32), labels)

    def _dice(self, labels: Any, known: Any, logits: Any) -> Any:
        truth, guess = _list_pixels(labels, known, logits)
        both = tf.reduce_sum(truth * guess, axis=1)
        either = tf.reduce_sum(truth + guess, axis=1)
        return _average(_average_classes(1 - 2 * both / tf.maximum(either, 1e-6), truth), known)

    def _lovasz(self, labels: Any, known: Any, logits: Any) -> Any:
        # Unknown pixels have no error, so they come last, where they add nothing.
        truth, guess = _list_pixels(labels, known, logits)
        errors = tf.abs(truth - guess)
        order = tf.argsort(errors, axis=1, direction="DESCENDING")
        ranked, hits = _take(errors, order), _take(truth, order)
        total = tf.reduce_sum(hits, axis=1, keepdims=True)
        both = total - tf.cumsum(hits, axis=1)
        either = total + tf.cumsum(1 - hits, axis=1)
        loss = 1 - both / tf.maximum(either, 1.0)
        steps = tf.concat([loss[:, :1], loss[:, 1:] - loss[:, :-1]], axis=1)
        each = tf.reduce_sum(ranked * tf.stop_gradient(steps), axis=1)
        return _average(_average_classes(each, truth), known)


def make_loss(
    terms: str, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
) -> keras.losses.Loss:
    """Return the loss of a training.

    Args:
        terms: names of terms with a plus between them.
        class_weights: see `MaskedLoss`.
        label_smoothing: see `MaskedLoss`.

    Raises:
        ValueError: see `MaskedLoss`.
    """
    if terms == "cross-entropy" and class_weights is None and not label_smoothing:
        return MaskedCrossEntropy()
    return MaskedLoss(terms.split("+"), class_weights, label_smoothing)


def _select(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Return labels, 0 where unknown, where they are known, and the logits there, 0 elsewhere."""
    labels = tf.cast(y_true, tf.int32)
    known = labels != IGNORE_LABEL
    # Selected before the logarithm, because NaN times a weight of 0 is NaN.
    logits = tf.where(known[..., None], tf.cast(y_pred, tf.float32), 0.0)
    return tf.where(known, labels, 0), known, logits


def _average_pixels(each: Any, known: Any) -> Any:
    """Return the mean over the labelled pixels of each image, (N,)."""
    weights = tf.cast(known, tf.float32)
    pixels = tf.reduce_sum(weights, axis=[1, 2])
    return tf.reduce_sum(each * weights, axis=[1, 2]) / tf.maximum(pixels, 1.0)


def _average(each: Any, known: Any) -> Any:
    """Return the mean over the images that have a labelled pixel; the others are 0 in `each`."""
    images = tf.cast(tf.reduce_any(known, axis=[1, 2]), tf.float32)
    return tf.reduce_sum(each) / tf.maximum(tf.reduce_sum(images), 1.0)


def _list_pixels(labels: Any, known: Any, logits: Any) -> tuple[Any, Any]:
    """Return truth and probability of all pixels and classes, (N, P, K), 0 where unknown."""
    classes = tf.shape(logits)[-1]
    weights = tf.cast(known, tf.float32)[..., None]
    shape = [tf.shape(logits)[0], -1, classes]
    truth = tf.one_hot(labels, classes) * weights
    return tf.reshape(truth, shape), tf.reshape(tf.nn.softmax(logits) * weights, shape)


def _average_classes(each: Any, truth: Any) -> Any:
    """Return the mean of (N, K) over the classes that each image has, (N,)."""
    present = tf.cast(tf.reduce_any(truth > 0, axis=1), tf.float32)
    total = tf.reduce_sum(each * present, axis=1)
    return total / tf.maximum(tf.reduce_sum(present, axis=1), 1.0)


def _take(values: Any, order: Any) -> Any:
    """Return (N, P, K) with the pixels of each image and class in an order of their own."""
    moved = [tf.transpose(part, [0, 2, 1]) for part in (values, order)]
    return tf.transpose(tf.gather(*moved, axis=2, batch_dims=2), [0, 2, 1])
