"""Layers of exported networks as nodes of ONNX, one row each.

Where ONNX Runtime has blocked convolutions, each output is the sum of the same products in the same
order, whatever the canvas. It has them for fewer than eight input channels, and for multiples of
four. For other numbers it multiplies matrices, in an order that depends on their sizes, and the
last bits differ: such inputs get channels of zeros (docs/decisions/0033).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model import layers
from model.onnx_export.graph import GraphWriter

_FEWEST_BLOCKED = 8
_CHANNELS_MULTIPLE = 4

_AUTO_PAD: Mapping[str, str] = MappingProxyType({"same": "SAME_UPPER", "valid": "VALID"})

Outputs = str | tuple[str, ...]


def write_layer(graph: GraphWriter, layer: keras.layers.Layer, inputs: list[str]) -> Outputs:
    """Write a layer.

    Args:
        graph: to write to.
        layer: of the network.
        inputs: names of its inputs.

    Returns:
        The names of its outputs: one, or several.

    Raises:
        ValueError: if there is no row for this kind of layer.
    """
    write = _WRITERS.get(type(layer))
    if write is None:
        raise ValueError(
            "`network` must consist of layers that can be written to ONNX. Received: "
            f"{type(layer).__name__} {layer.name!r}"
        )
    return write(graph, layer, *inputs)


def _write_conv2d(graph: GraphWriter, layer: Any, x: str) -> str:
    kernel = np.asarray(layer.kernel).transpose(3, 2, 0, 1)
    missing = -kernel.shape[1] % _CHANNELS_MULTIPLE if kernel.shape[1] >= _FEWEST_BLOCKED else 0
    if missing:
        x = graph.add("Pad", x, graph.add_constant([0, 0, 0, 0, 0, missing, 0, 0], np.int64))
        kernel = np.pad(kernel, [(0, 0), (0, missing), (0, 0), (0, 0)])
    return _convolve(graph, layer, x, kernel, layer.groups)


def _write_depthwise_conv2d(graph: GraphWriter, layer: Any, x: str) -> str:
    height, width, channels, multiplier = layer.kernel.shape
    kernel = np.asarray(layer.kernel).transpose(2, 3, 0, 1)
    kernel = kernel.reshape(channels * multiplier, 1, height, width)
    return _convolve(graph, layer, x, kernel, channels)


def _convolve(
    graph: GraphWriter, layer: Any, x: str, kernel: NDArray[np.float32], group: int
) -> str:
    if layer.activation is not keras.activations.linear:
        raise ValueError(
            "an activation must be a layer of its own to be written to ONNX. Received: "
            f"{layer.name!r}, which applies {keras.activations.serialize(layer.activation)}"
        )
    bias = [graph.add_constant(np.asarray(layer.bias))] if layer.use_bias else []
    return graph.add(
        "Conv",
        x,
        graph.add_constant(kernel),
        *bias,
        auto_pad=_AUTO_PAD[layer.padding],
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        group=group,
    )


def _write_embed_mask(graph: GraphWriter, layer: Any, x: str, mask: str) -> tuple[str, str]:
    multiple = graph.add_constant([layer.multiple] * 2, np.int64)
    # The remainder has the sign of the divisor.
    sides = graph.add("Mod", graph.add("Neg", graph.measure_sides(mask)), multiple)
    padded_mask = graph.cast(_pad(graph, graph.cast(mask, np.uint8), 0, sides, np.uint8), np.bool_)
    return graph.fill_invalid(_pad(graph, x, 1, sides, np.float32), padded_mask), padded_mask


def _write_reflection(graph: GraphWriter, layer: Any, x: str, mask: str) -> tuple[str, str]:
    cell = graph.add_constant([2**layer.levels] * 2, np.int64)
    sides = graph.add("Mod", graph.add("Neg", graph.measure_sides(mask)), cell)
    given = graph.cast(_pad(graph, graph.cast(mask, np.uint8), 0, sides, np.uint8), np.bool_)
    x, filled = graph.fill_invalid(_pad(graph, x, 0, sides, np.float32), given), given
    for level in range(1, layer.levels + 1):
        for axis in (3, 2):
            reflected, there = (_reflect(graph, part, 2**level, axis) for part in (x, filled))
            x = graph.add("Where", filled, x, reflected)
            filled = graph.add("Or", filled, there)
    missing = graph.cast(graph.add("And", filled, graph.add("Not", given)), np.float32)
    return graph.add("Concat", x, missing, axis=1), filled


def _reflect(graph: GraphWriter, x: str, side: int, axis: int) -> str:
    """Reverse each series of `side` pixels along an axis, 2 or 3."""
    before = graph.add_constant([0] * axis + [-1, side], np.int64)
    after = graph.add("Shape", x, start=axis + 1, end=4)
    cells = graph.add("Reshape", x, graph.add("Concat", before, after, axis=0))
    order = graph.add_constant(np.arange(side)[::-1], np.int64)
    reversed_cells = graph.add("Gather", cells, order, axis=axis + 1)
    return graph.add("Reshape", reversed_cells, graph.add("Shape", x))


def _pad(graph: GraphWriter, x: str, channels: int, sides: str, dtype: type[np.generic]) -> str:
    """Pad at the end of three axes, channels by ones."""
    first = graph.add_constant([0, 0, 0, 0, 0, channels], np.int64)
    amounts = graph.add("Concat", first, sides, axis=0)
    return graph.add("Pad", x, amounts, graph.add_constant(channels, dtype))


def _write_mask_pooling(graph: GraphWriter, layer: Any, mask: str) -> str:
    sides = [layer.factor] * 2
    features = graph.cast(mask, np.float32)
    pooled = graph.add("MaxPool", features, kernel_shape=sides, strides=sides, ceil_mode=1)
    return graph.cast(pooled, np.bool_)


def _write_coverage(graph: GraphWriter, layer: Any, mask: str) -> str:
    valid = graph.cast(mask, np.float32)
    if layer.normalization == "none":
        return valid
    height, width = layer.kernel_size
    ones = graph.add_constant(np.ones((1, 1, height, width)))
    count = graph.add("Conv", valid, ones, pads=[height // 2, width // 2] * 2)
    full = 1 if layer.normalization == "mean" else height * width
    scale = graph.add(
        "Div", graph.add_constant(full), graph.add("Max", count, graph.add_constant(1))
    )
    if layer.normalization == "variance":
        scale = graph.add("Sqrt", scale)
    return graph.add("Mul", scale, valid)


def _write_upsampling(graph: GraphWriter, _: Any, x: str, mask: str) -> str:
    factors = graph.add_constant([1, 1, 2, 2])
    finer = graph.add(
        "Resize",
        x,
        "",
        factors,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return graph.add("Mul", finer, graph.cast(mask, np.float32))


def _write_concatenation(graph: GraphWriter, _: Any, *inputs: str) -> tuple[str, str]:
    united, *masks = inputs[1::2]
    for mask in masks:
        united = united if mask == united else graph.add("Or", united, mask)
    return graph.add("Concat", *inputs[::2], axis=1), united


def _write_append_mask(graph: GraphWriter, _: Any, x: str, mask: str) -> str:
    return graph.add("Concat", x, graph.cast(mask, np.float32), axis=1)


def _write_shift(graph: GraphWriter, layer: Any, x: str, scale: str) -> str:
    shift = graph.add_constant(np.asarray(layer.shift)[:, None, None])
    return graph.add("Add", graph.add("Mul", x, scale), shift)


def _write_crop(graph: GraphWriter, _: Any, x: str, reference: str) -> str:
    first, axes = graph.add_constant([0, 0], np.int64), graph.add_constant([2, 3], np.int64)
    return graph.add("Slice", x, first, graph.measure_sides(reference), axes)


def _write_max_pooling(graph: GraphWriter, layer: Any, x: str) -> str:
    return graph.add(
        "MaxPool",
        x,
        kernel_shape=list(layer.pool_size),
        strides=list(layer.strides),
        auto_pad=_AUTO_PAD[layer.padding],
    )


def _write_relu(graph: GraphWriter, layer: Any, x: str) -> str:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise ValueError(
            f"a ReLU must be a plain one to be written to ONNX. Received: {layer.name!r}"
        )
    return graph.add("Relu", x)


_WRITERS: Mapping[type[Any], Callable[..., Outputs]] = MappingProxyType(
    {
        keras.layers.Add: lambda graph, _, x, y: graph.add("Add", x, y),
        keras.layers.Conv2D: _write_conv2d,
        keras.layers.DepthwiseConv2D: _write_depthwise_conv2d,
        keras.layers.MaxPooling2D: _write_max_pooling,
        keras.layers.Multiply: lambda graph, _, x, y: graph.add("Mul", x, y),
        keras.layers.ReLU: _write_relu,
        layers.AppendMask: _write_append_mask,
        layers.CoverageScale: _write_coverage,
        layers.CropToSize: _write_crop,
        layers.CutUpSampling2D: _write_upsampling,
        layers.EmbedMask: _write_embed_mask,
        layers.FillByReflection: _write_reflection,
        layers.FillInvalid: lambda graph, _, x, mask: graph.fill_invalid(x, mask),
        layers.MaskMaxPooling2D: _write_mask_pooling,
        layers.MaskedConcatenate: _write_concatenation,
        layers.ScaleAndShift: _write_shift,
    }
)
"""Functions of the layers of `model.folding.FoldedNetwork`."""
