"""Converted networks that are trained on, and their export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from model.adopt.masking import freeze_masked
from model.adopt.options import Scaling
from model.convert import fold
from model.convert.graphs import replay
from model.export import choose_labels, choose_outputs, save_signatures, write_version
from model.layers import CropToSize, FillInvalid, MaskedUpSampling2D

_AFTER_SCORES = (CropToSize, FillInvalid, MaskedUpSampling2D)


def make_trainable(network: keras.Model, scaling: Scaling, meaning: str) -> keras.Model | None:
    """Return a converted network with the inputs and outputs that training takes.

    A softmax or a sigmoid at the end is left out, because losses of logits have gradients where
    those of probabilities have none. One output becomes the second of two.

    Args:
        network: from `convert`.
        scaling: of raw values to those that it takes.
        meaning: of its scores, one of `ACTIVATIONS`.

    Returns:
        From `[image, mask]`, float32 raw values (N, H, W, C) and bool (N, H, W, 1), to logits
        float32 (N, H, W, K), K ≥ 2. None if its probabilities come from another layer.
    """
    last = None if meaning == "logits" else _find_last(network.outputs[0])
    if last is None and meaning != "logits":
        return None
    image, mask = (
        keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name)
        for tensor in network.inputs
    )

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if operation is last else operation(*args, **kwargs)

    scale, offset = list(scaling.scale), list(scaling.offset)
    scaled = keras.layers.Rescaling(scale, offset, name="scale_image")(image)
    logits = keras.tree.flatten(replay(network, call, [scaled, mask]))[0]
    if logits.shape[-1] == 1:
        logits = keras.ops.pad(logits, [[0, 0], [0, 0], [0, 0], [1, 0]])
    return keras.Model([image, mask], logits, name=network.name)


def _find_last(scores: Any) -> Any:
    """Return the layer that makes probabilities of logits; None if it is no softmax or sigmoid."""
    while True:
        operation, node, _ = scores._keras_history  # noqa: SLF001 (Keras has no other)
        if not isinstance(operation, _AFTER_SCORES):
            break
        scores = operation._inbound_nodes[node].input_tensors[0]  # noqa: SLF001
    activation = getattr(operation, "activation", None)
    makes = isinstance(operation, keras.layers.Softmax) or activation in (
        keras.activations.softmax,
        keras.activations.sigmoid,
    )
    return operation if makes else None


def export_trained(network: keras.Model, manifest: Mapping[str, Any], output: Path) -> None:
    """Write a model of a converted network that was trained on, as `export_network` does.

    It has the signatures `serving_default` and `labels`.

    Args:
        network: from `make_trainable`, trained.
        manifest: from `build_manifest`.
        output: the folder to write, `<repository>/<name>/<version>`. An existing one is replaced
            once the new one is complete.
    """
    compute = freeze_masked(fold(network))

    def compile_(function: Any) -> Any:
        specs = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in network.inputs
        ]
        return tf.function(function, input_signature=specs, autograph=False)

    signatures = {
        "serving_default": compile_(lambda image, mask: choose_outputs(compute(image, mask), mask)),
        "labels": compile_(
            lambda image, mask: {"labels": choose_labels(compute(image, mask), mask)}
        ),
    }
    write_version(output, manifest, lambda folder: save_signatures(signatures, folder), network)
