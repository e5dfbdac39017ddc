"""Graph of ONNX nodes in the making. Features are (N, C, H, W) in it, masks (N, 1, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

OPSET = 18
"""Version of the operators. Runtimes of the end of 2022 know it."""

IR_VERSION = 8
"""Version of the file's format, of the same time."""


class Tensor(NamedTuple):
    """Input or output of a graph.

    Attributes:
        name: of the tensor.
        dtype: of NumPy.
        shape: a letter for each length that may vary.
    """

    name: str
    dtype: type[np.generic]
    shape: Sequence[int | str]


class GraphWriter:
    """Writer of a graph, node by node. A tensor is known by its name."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], TensorProto] = {}

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its output.

        Args:
            operator: of ONNX.
            inputs: names of its inputs; empty for one that is left out.
            output: name of its output; made up if empty.
            **attributes: of the operator.
        """
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def add_constant(self, values: Any, dtype: type[np.generic] = np.float32) -> str:
        """Add a constant, equal ones once, and return its name."""
        array: NDArray[Any] = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
        return self._constants[key].name

    def cast(self, tensor: str, dtype: type[np.generic]) -> str:
        """Convert a tensor to another type."""
        return self.add("Cast", tensor, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def fill_invalid(self, tensor: str, mask: str, value: Any = 0.0) -> str:
        """Replace the values of invalid pixels."""
        return self.add("Where", mask, tensor, self.add_constant(value))

    def measure_sides(self, tensor: str) -> str:
        """Return height and width, int64 (2,)."""
        return self.add("Shape", tensor, start=2, end=4)

    def build(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> ModelProto:
        """Return the model, checked.

        Args:
            inputs: of the graph.
            outputs: of the graph.
        """
        graph = helper.make_graph(
            self._nodes,
            "lacuna",
            [_describe(tensor) for tensor in inputs],
            [_describe(tensor) for tensor in outputs],
            list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="lacuna",
        )
        checker.check_model(model, full_check=True)
        return model


def _describe(tensor: Tensor) -> ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(tensor.name, kind, tensor.shape)
