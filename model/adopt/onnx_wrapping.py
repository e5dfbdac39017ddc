"""The graph of ONNX around a network: the inputs and outputs of every served model.

It does what `wrapping` does, with images as (N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.adopt.onnx_files import GRAPH_FILE
from model.adopt.options import NEAREST_CELL
from model.adopt.plan import WrappingPlan
from model.adopt.source import Source
from model.labels import IGNORE_LABEL

_PREFIX = "network/"
_TO_FIRST, _TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def save_wrapped(source: Source, plan: WrappingPlan, folder: Path) -> None:
    """Save a wrapped network as `model.onnx`.

    Args:
        source: network from `read_onnx_file`.
        plan: what is done around it.
        folder: folder of the version, which is made.
    """
    folder.mkdir(parents=True)
    onnx.save(wrap(source, plan), folder / GRAPH_FILE)


def wrap(source: Source, plan: WrappingPlan) -> onnx.ModelProto:
    """Return a network with the graph around it.

    Args:
        source: network from `read_onnx_file`.
        plan: what is done around it.
    """
    network = onnx.compose.add_prefix(source.graph, _PREFIX)
    graph = _Nodes()
    size, mask = _write_before(graph, plan, _PREFIX + source.input.name)
    before, graph.nodes = graph.nodes, []
    _write_after(graph, plan, _PREFIX + source.output.name, size, mask)
    whole = helper.make_graph(
        [*before, *network.graph.node, *graph.nodes],
        "segmenter",
        [
            helper.make_tensor_value_info(
                "image", TensorProto.FLOAT, ["N", "H", "W", plan.layout.channels]
            ),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, ["N", "H", "W", 1]),
        ],
        [
            helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N", "H", "W"]),
            helper.make_tensor_value_info(
                "probabilities", TensorProto.FLOAT, ["N", "H", "W", plan.classes]
            ),
        ],
        [*graph.constants, *network.graph.initializer],
        sparse_initializer=network.graph.sparse_initializer,
    )
    return helper.make_model(
        whole,
        opset_imports=network.opset_import,
        functions=network.functions,
        ir_version=network.ir_version,
    )


class _Nodes:
    """Nodes and constants of a graph, each with a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: Iterator[str] = (f"lacuna/{index}" for index in range(1 << 30))

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        output = name or next(self._names)
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """Add a constant, and return its name."""
        name = next(self._names)
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def number(self, value: float) -> str:
        """Add a constant of float32."""
        return self.constant(value, np.float32)

    def measure(self, values: str) -> str:
        """Return the height and width of images (N, C, H, W)."""
        return self.add("Slice", self.add("Shape", values), self.constant([2]), self.constant([4]))

    def crop(self, values: str, size: str) -> str:
        """Crop images (N, C, H, W) to their first rows and columns."""
        first, axes = self.constant([0, 0]), self.constant([2, 3])
        return self.add("Slice", values, first, size, axes)


def _write_before(graph: _Nodes, plan: WrappingPlan, target: str) -> tuple[str, str]:
    """Write what comes before the network.

    Returns:
        The size of the image, int64 (2,), and its mask, bool (N, 1, H, W).
    """
    mask = graph.add("Transpose", "mask", perm=_TO_FIRST)
    size = graph.measure(mask)
    image = graph.add("Transpose", "image", perm=_TO_FIRST)
    image = graph.add("Where", mask, image, graph.number(0))
    known = graph.add("Cast", mask, to=TensorProto.FLOAT)
    pads = _write_pads(graph, plan, size)
    image, known = graph.add("Pad", image, pads), graph.add("Pad", known, pads)
    values = _write_fill(graph, plan, image, known)
    per_channel = (1, plan.layout.channels, 1, 1)
    scale = graph.constant(np.reshape(plan.scaling.scale, per_channel), np.float32)
    offset = graph.constant(np.reshape(plan.scaling.offset, per_channel), np.float32)
    values = graph.add("Add", graph.add("Mul", values, scale), offset)
    if not plan.layout.image_first:
        values = graph.add("Transpose", values, perm=_TO_LAST)
    dtype = np.dtype(plan.dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        lowest, highest = graph.number(limits.min), graph.number(limits.max)
        values = graph.add("Clip", graph.add("Round", values), lowest, highest)
    graph.add("Cast", values, name=target, to=helper.np_dtype_to_tensor_dtype(dtype))
    return size, mask


def _write_pads(graph: _Nodes, plan: WrappingPlan, size: str) -> str:
    """Write the padding at the bottom and the right, to a size that the network takes."""
    if plan.layout.size is None:
        multiple = graph.constant([plan.multiple] * 2)
        added = graph.add("Mod", graph.add("Neg", size), multiple)
    else:
        added = graph.add("Sub", graph.constant(plan.layout.size), size)
    return graph.add("Concat", graph.constant([0] * 6), added, axis=0)


def _write_fill(graph: _Nodes, plan: WrappingPlan, image: str, known: str) -> str:
    """Fill the invalid pixels, which are 0."""
    options = plan.options
    if options.fill == "nearest":
        return _write_cells(graph, image, known, NEAREST_CELL)
    if options.fill == "mean":
        axes = graph.constant([2, 3])
        sums = graph.add("ReduceSum", image, axes, keepdims=1)
        count = graph.add("ReduceSum", known, axes, keepdims=1)
        fill = graph.add("Div", sums, graph.add("Max", count, graph.number(1)))
    elif options.fill == "constant":
        fill = graph.number(options.constant)
    else:
        return image
    return graph.add("Where", graph.add("Greater", known, graph.number(0)), image, fill)


def _write_cells(graph: _Nodes, image: str, known: str, side: int) -> str:
    """Fill from the means of cells of 2 × 2 pixels, which are filled in the same way before."""
    if side == 1:
        return image
    # The mean of a cell that reaches past the border is divided by the same number in both.
    pooling: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}
    sums = graph.add("AveragePool", image, **pooling)
    counts = graph.add("AveragePool", known, **pooling)
    means = graph.add("Div", sums, graph.add("Max", counts, graph.number(0.25)))
    has_any = graph.add("Greater", counts, graph.number(0))
    has_any = graph.add("Cast", has_any, to=TensorProto.FLOAT)
    cells = _write_cells(graph, means, has_any, side // 2)
    cells = graph.crop(_write_resize(graph, cells, 2, "nearest"), graph.measure(image))
    return graph.add("Where", graph.add("Greater", known, graph.number(0)), image, cells)


def _write_resize(graph: _Nodes, values: str, factor: int, upsampling: str) -> str:
    scales = graph.constant([1, 1, factor, factor], np.float32)
    if upsampling == "nearest":
        return graph.add(
            "Resize",
            values,
            "",
            scales,
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
    return graph.add(
        "Resize", values, "", scales, mode="linear", coordinate_transformation_mode="half_pixel"
    )


def _write_after(graph: _Nodes, plan: WrappingPlan, scores: str, size: str, mask: str) -> None:
    """Write what comes after the network."""
    scores = graph.add("Cast", scores, to=TensorProto.FLOAT)
    if not plan.layout.has_channel:
        scores = graph.add("Unsqueeze", scores, graph.constant([1]))
    elif not plan.layout.scores_first:
        scores = graph.add("Transpose", scores, perm=_TO_FIRST)
    if plan.factor > 1:
        scores = _write_resize(graph, scores, plan.factor, plan.options.upsampling)
    scores = graph.crop(scores, size)
    is_single, is_logits = plan.layout.outputs == 1, plan.meaning == "logits"
    if is_single:
        second = graph.add("Sigmoid", scores) if is_logits else scores
        first = graph.add("Sub", graph.number(1), second)
        chances = graph.add("Concat", first, second, axis=1)
        best = graph.add("GreaterOrEqual", second, graph.number(plan.options.threshold))
    else:
        chances = graph.add("Softmax", scores, axis=1) if is_logits else scores
        best = graph.add("ArgMax", scores, axis=1, keepdims=1)
    chances = graph.add("Where", mask, chances, graph.number(0))
    graph.add("Transpose", chances, name="probabilities", perm=_TO_LAST)
    best = graph.add("Cast", best, to=TensorProto.UINT8)
    labels = graph.add("Where", mask, best, graph.constant(IGNORE_LABEL, np.uint8))
    graph.add("Squeeze", labels, graph.constant([1]), name="labels")
