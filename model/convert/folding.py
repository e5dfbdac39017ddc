"""Converted networks for export: the same function in fewer passes over the features."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from model.convert.graphs import Readers, remake
from model.convert.products import multiply
from model.layers import FillInvalid, MaskedBatchNormalization
from model.layers.windows import FusedWindowConv2D, WindowConv2D, WindowDepthwiseConv2D

_CONVOLUTIONS = (WindowConv2D, WindowDepthwiseConv2D)


def fold(network: keras.Model) -> keras.Model:
    """Return the same function for export.

    Where a batch normalisation is the only reader of a convolution, it becomes a scale of the
    kernel, and an offset, which is not scaled by the coverage. Where masking, or a ReLU and
    masking, are all that follows a convolution, they are computed with it; see `FusedWindowConv2D`.
    What is finite is masked by a product.

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
    fills: dict[int, Any] = {}
    gone: set[int] = set()
    for conv in network.layers:
        if type(conv) is not WindowConv2D or not conv.use_bias or not conv.can_fuse:
            continue
        relu = chains.after(conv)
        fill = chains.after(relu) if _is_relu(relu) else relu
        if isinstance(fill, FillInvalid) and fill.fill_value == 0:
            fills[id(fill)] = conv, fill is not relu
            gone |= {id(conv), id(relu)} - {id(fill)}
    passed: dict[int, Any] = {}

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if id(operation) in fills:
            conv, rectify = fills[id(operation)]
            (x, coverage), mask = passed[id(conv)], args[0][1]
            layer = FusedWindowConv2D.from_config({**conv.get_config(), "rectify": rectify})
            y = layer([x, mask, coverage])
            layer.set_weights(conv.get_weights())
            return y
        if id(operation) in gone:
            passed[id(operation)] = args[0]
            return args[0][0] if isinstance(args[0], list) else args[0]
        return operation(*args, **kwargs)

    return remake(network, call)


def _is_relu(layer: Any) -> bool:
    if isinstance(layer, keras.layers.ReLU):
        return (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0, 0)
    is_activation = isinstance(layer, keras.layers.Activation)
    return is_activation and layer.activation is keras.activations.relu
