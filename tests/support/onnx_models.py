"""Models in ONNX, of a few nodes, to test their runtime with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.runtime.manifest import MANIFEST_FILE
from tests.support.tiny_models import MANIFEST

IMAGE = ("image", TensorProto.FLOAT, ["N", "H", "W", 3])
MASK = ("mask", TensorProto.BOOL, ["N", "H", "W", 1])
LABELS = ("labels", TensorProto.UINT8, ["N", "H", "W"])
PROBABILITIES = ("probabilities", TensorProto.FLOAT, ["N", "H", "W", 3])
CONSTANTS: Mapping[str, Any] = {
    "zero": np.float32(0),
    "three": np.float32(3),
    "class": np.uint8(0),
    "invalid": np.uint8(255),
    "last": np.array([3]),
}
NODES = (
    ("Shape", ["image"], "shape", {}),
    ("Where", ["mask", "zero", "zero"], "blank", {}),
    ("Expand", ["blank", "shape"], "expanded", {}),
    ("Squeeze", ["mask", "last"], "valid", {}),
    ("Where", ["valid", "class", "invalid"], "labels", {}),
    ("Softmax", ["expanded"], "scores", {"axis": -1}),
    ("Where", ["mask", "scores", "zero"], "probabilities", {}),
)
"""Nodes that label every pixel as class 0: operator, inputs, output and attributes of each."""


def build(
    nodes: Sequence[tuple[str, list[str], str, dict[str, Any]]] = NODES,
    inputs: Sequence[Any] = (IMAGE, MASK),
    outputs: Sequence[Any] = (LABELS, PROBABILITIES),
    opset: int = 18,
    domain: str = "",
) -> onnx.ModelProto:
    """Build a model of nodes."""
    done = [
        helper.make_node(operator, read, [written], domain=domain, **attributes)
        for operator, read, written, attributes in nodes
    ]
    graph = helper.make_graph(
        done,
        "tiny",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in CONSTANTS.items()],
    )
    imports = [
        helper.make_opsetid("", opset),
        *([helper.make_opsetid(domain, 1)] if domain else []),
    ]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def save(folder: Path, model: onnx.ModelProto | None = None, **options: Any) -> Path:
    """Save a model, or one of such nodes, as a version that can be served."""
    (folder / MANIFEST_FILE).parent.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).write_text(json.dumps(MANIFEST))
    (folder / "model.onnx").write_bytes((model or build(**options)).SerializeToString())
    return folder


def replace_node(output: str, operator: str, inputs: list[str], **attributes: Any) -> list[Any]:
    """Return the nodes with another one for an output."""
    other = (operator, inputs, output, attributes)
    return [other if node[2] == output else node for node in NODES]
