"""The graph of TensorFlow around a network: the signatures of every served model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from model.adopt.filling import fill_missing
from model.adopt.plan import WrappingPlan
from model.labels import IGNORE_LABEL
from model.ops.masks import pad_to_multiple


def make_signatures(network: Callable[..., Any], plan: WrappingPlan) -> dict[str, Any]:
    """Make the signatures `serving_default` and `labels` of a wrapped network.

    Args:
        network: function from the image to the scores, in the network's own layout and types; of a
            converted network from the image and its mask.
        plan: what is done around it.
    """
    specs = [
        tf.TensorSpec((None, None, None, plan.layout.channels), tf.float32, name="image"),
        tf.TensorSpec((None, None, None, 1), tf.bool, name="mask"),
    ]

    def compile_(function: Callable[..., Any]) -> Any:
        return tf.function(function, input_signature=specs, autograph=False)

    # The weights are in this one function, which both signatures call.
    segment = compile_(lambda image, mask: _segment(network, plan, image, mask))
    return {
        "serving_default": compile_(
            lambda image, mask: dict(
                zip(("labels", "probabilities"), segment(image, mask), strict=True)
            )
        ),
        "labels": compile_(lambda image, mask: {"labels": segment(image, mask)[0]}),
    }


def _segment(network: Callable[..., Any], plan: WrappingPlan, image: Any, mask: Any) -> Any:
    height, width = tf.unstack(tf.shape(mask)[1:3])
    padded, known = _pad(image, plan), _pad(mask, plan)
    scores = _upsample(_run(network, plan, padded, known), plan)[:, :height, :width]
    probabilities = tf.where(mask, _make_probabilities(scores, plan.meaning), 0.0)
    labels = tf.where(mask[..., 0], _choose_labels(scores, probabilities, plan), IGNORE_LABEL)
    return labels, tf.ensure_shape(probabilities, [None, None, None, plan.classes])


def _pad(values: Any, plan: WrappingPlan) -> Any:
    """Pad the bottom and the right with zeros, or False, to sizes that the network takes."""
    if plan.layout.size is None:
        return pad_to_multiple(values, (plan.multiple, plan.multiple))
    height, width = tf.unstack(tf.shape(values)[1:3])
    rows, columns = plan.layout.size
    return tf.pad(values, [[0, 0], [0, rows - height], [0, columns - width], [0, 0]])


def _run(network: Callable[..., Any], plan: WrappingPlan, image: Any, mask: Any) -> Any:
    """Return the scores for raw values, float32 (N, H / f, W / f, K)."""
    if plan.options.masked:
        # Nothing is filled: the network reads valid pixels alone.
        return network(image * tf.constant(plan.scaling.scale) + plan.scaling.offset, mask)
    raw = fill_missing(image, mask, plan.options.fill, plan.options.constant)
    scaling, layout, dtype = plan.scaling, plan.layout, tf.as_dtype(plan.dtype)
    values = raw * tf.constant(scaling.scale) + tf.constant(scaling.offset)
    if layout.image_first:
        values = tf.transpose(values, [0, 3, 1, 2])
    if dtype.is_integer:
        values = tf.saturate_cast(tf.round(values), dtype)
    scores = tf.cast(network(tf.cast(values, dtype)), tf.float32)
    if not layout.has_channel:
        return scores[..., None]
    return tf.transpose(scores, [0, 2, 3, 1]) if layout.scores_first else scores


def _upsample(scores: Any, plan: WrappingPlan) -> Any:
    if plan.factor == 1:
        return scores
    size = tf.shape(scores)[1:3] * plan.factor
    return tf.image.resize(scores, size, plan.options.upsampling)


def _make_probabilities(scores: Any, meaning: str) -> Any:
    if scores.shape[-1] != 1:
        return tf.nn.softmax(scores) if meaning == "logits" else scores
    second = tf.sigmoid(scores) if meaning == "logits" else scores
    return tf.concat([1 - second, second], axis=-1)


def _choose_labels(scores: Any, probabilities: Any, plan: WrappingPlan) -> Any:
    if plan.layout.outputs == 1:
        return tf.cast(probabilities[..., 1] >= plan.options.threshold, tf.uint8)
    return tf.cast(tf.argmax(scores, axis=-1, output_type=tf.int32), tf.uint8)
