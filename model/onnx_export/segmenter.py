"""Segmenter in ONNX: from image and mask to labels and probabilities."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from onnx import ModelProto

from model.labels import IGNORE_LABEL
from model.onnx_export.graph import GraphWriter, Tensor
from model.onnx_export.layers import write_layer

_CHANNELS_FIRST, _CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def build_onnx(network: keras.Model) -> ModelProto:
    """Build the model of a network.

    Its inputs are `image` float32 (N, H, W, C), raw values, and `mask` bool (N, H, W, 1); its
    outputs `labels` uint8 (N, H, W), 255 = invalid, and `probabilities` float32 (N, H, W, K), 0
    where invalid.

    Args:
        network: from `fold_batch_norm`: from image and mask to logits.

    Raises:
        ValueError: if a layer cannot be written to ONNX.
    """
    graph = GraphWriter()
    whole = ("N", "H", "W")
    image = Tensor("image", np.float32, (*whole, network.inputs[0].shape[-1]))
    mask = Tensor("mask", np.bool_, (*whole, 1))
    inputs = [graph.add("Transpose", tensor.name, perm=_CHANNELS_FIRST) for tensor in (image, mask)]
    _write_outputs(graph, _write_network(graph, network, inputs))
    return graph.build(
        [image, mask],
        [
            Tensor("labels", np.uint8, whole),
            Tensor("probabilities", np.float32, (*whole, network.outputs[0].shape[-1])),
        ],
    )


def _write_network(graph: GraphWriter, network: keras.Model, inputs: list[str]) -> str:
    """Write all layers, each of which is called once, and return the name of the logits."""
    names = {id(tensor): name for tensor, name in zip(network.inputs, inputs, strict=True)}
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        read = [names[id(tensor)] for tensor in _list_tensors(layer.input)]
        written = write_layer(graph, layer, read)
        outputs = (written,) if isinstance(written, str) else written
        for tensor, name in zip(_list_tensors(layer.output), outputs, strict=True):
            names[id(tensor)] = name
    return names[id(network.outputs[0])]


def _list_tensors(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def _write_outputs(graph: GraphWriter, logits: str) -> None:
    logits = graph.add("Transpose", logits, perm=_CHANNELS_LAST)
    best = graph.cast(graph.add("ArgMax", logits, axis=3, keepdims=0), np.uint8)
    valid = graph.add("Squeeze", "mask", graph.add_constant([3], np.int64))
    ignored = graph.add_constant(IGNORE_LABEL, np.uint8)
    graph.add("Where", valid, best, ignored, output="labels")
    scores = graph.add("Softmax", logits, axis=3)
    graph.add("Where", "mask", scores, graph.add_constant(0), output="probabilities")
