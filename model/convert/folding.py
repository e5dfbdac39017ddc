"""Converted networks for export: the same function in fewer passes over the features."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from model.convert.graphs import Readers, remake
from model.convert.products import multiply
from model.layers import MaskedBatchNormalization
from model.layers.converted import (
    FusedWindowConv2D,
    FusedWindowDepthwiseConv2D,
    IncompleteWindows,
)
from model.layers.windows import WindowConv2D, WindowDepthwiseConv2D

_CONVOLUTIONS = (WindowConv2D, WindowDepthwiseConv2D)


def fold(network: keras.Model) -> keras.Model:
    """Return the same function for export.

    Where a batch normalisation is the only reader of a convolution, it becomes a scale of the
    kernel, and an offset, which is not scaled by the coverage. Bias and ReLU are computed with the
    convolution; see `FusedWindowConv2D`. What is finite is masked by a product.

    Args:
        network: from `convert`; it is not changed.
    """
    return multiply(_fuse(_fold_norms(network)))


def _fold_norms(network: keras.Model) -> keras.Model:
    chains = Readers(network)
    norms: dict[int, Any] = {}
    for operation in network.layers:
        norm = chains.after(operation) if isinstance(operation, _CONVOLUTIONS) else None
        if isinstance(norm, MaskedBatchNormalization):
            norms[id(operation)] = norm
    gone = {id(norm) for norm in norms.values()}

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if id(operation) in gone:
            return args[0][0]
        if id(operation) in norms:
            return _fold(operation, norms[id(operation)], args[0])(*args)
        return operation(*args, **kwargs)

    return remake(network, call)


def _fold(conv: Any, norm: MaskedBatchNormalization, inputs: Any) -> Any:
    """Return the convolution with the normalisation after it."""
    scale, offset = (np.asarray(values) for values in norm.inference_affine())
    kernel, *bias = (np.asarray(weight) for weight in conv.get_weights())
    shape = kernel.shape[2:] if isinstance(conv, WindowDepthwiseConv2D) else scale.shape
    layer = type(conv).from_config({**conv.get_config(), "use_bias": True})
    layer.build([tensor.shape for tensor in inputs])
    layer.set_weights([kernel * scale.reshape(shape), offset + scale * (bias[0] if bias else 0)])
    return layer


def _fuse(network: keras.Model) -> keras.Model:
    chains = Readers(network)
    incomplete: dict[int, Any] = {}
    gone: set[int] = set()

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if id(operation) in gone:
            return args[0]
        if not isinstance(operation, _CONVOLUTIONS):
            return operation(*args, **kwargs)
        relu = chains.after(operation)
        gone.update({id(relu)} if _is_relu(relu) else ())
        x, coverage = args[0]
        if operation.kernel_size == (1, 1):
            inputs = [x]
        else:
            if id(coverage) not in incomplete:
                incomplete[id(coverage)] = IncompleteWindows()(coverage)
            inputs = [x, coverage, incomplete[id(coverage)]]
        return _make_fused(operation, inputs, rectify=_is_relu(relu))

    return remake(network, call)


def _make_fused(conv: Any, inputs: list[Any], *, rectify: bool) -> Any:
    is_depthwise = isinstance(conv, WindowDepthwiseConv2D)
    kind = FusedWindowDepthwiseConv2D if is_depthwise else FusedWindowConv2D
    # Without its name, because one that is called several times becomes several layers.
    config = {**conv.get_config(), "name": None, "use_bias": True, "rectify": rectify}
    layer = kind.from_config(config)
    y = layer(inputs)
    kernel, *bias = conv.get_weights()
    layer.set_weights([kernel, *(bias or [np.zeros(layer.bias.shape)])])
    return y


def _is_relu(layer: Any) -> bool:
    if isinstance(layer, keras.layers.ReLU):
        return (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0, 0)
    is_activation = isinstance(layer, keras.layers.Activation)
    return is_activation and layer.activation is keras.activations.relu
