"""Networks in ONNX files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, version_converter

from model.adopt.source import (
    AdoptionError,
    Source,
    TensorFacts,
    check_image,
    check_scores,
    choose_tensor,
    first_line,
)

# Otherwise ONNX Runtime reports its use to its makers. It reads this once, when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

GRAPH_FILE = "model.onnx"
OLDEST_OPSET = 13
"""Opset in which the graph around a network is written, and to which older ones are converted."""

_MOST_BYTES = (1 << 31) - 1
"""Largest message of protobuf."""
_SILENT = 4
_STANDARD_DOMAIN = "ai.onnx"
_TYPES = {"float": "float32", "double": "float64"}


def read_onnx_file(path: Path, *, scores: str | None = None) -> Source:
    """Read a network.

    Args:
        path: `.onnx`.
        scores: name of the output with the scores; None for the only one.

    Raises:
        AdoptionError: if it cannot be read, its opset is too new, or it is no network from one
            image to scores.
    """
    _check_bytes(path.stat().st_size, path.name)
    try:
        model = onnx.load(path, load_external_data=False)
        outside = sum(map(_count_bytes, model.graph.initializer))
        _check_bytes(path.stat().st_size + outside, path.name)
        onnx.load_external_data_for_model(model, str(path.parent))
        _name_standard_domain(model)
        onnx.checker.check_model(model)
    except AdoptionError:
        raise
    except Exception as error:
        raise AdoptionError(
            f"{path.name} must be a network in ONNX; {first_line(error)}"
        ) from error
    model = _update(model, path.name)
    _open_batch(model)
    session = _open(model, path.name)
    image = choose_tensor(_describe(session.get_inputs()), "input", None)
    check_image(image)
    chosen = choose_tensor(_describe(session.get_outputs()), "output", scores)
    check_scores(chosen)
    return Source(
        "ONNX",
        image,
        chosen,
        lambda given: session.run([chosen.name], {image.name: given})[0],
        model,
    )


def _check_bytes(count: int, name: str) -> None:
    if count > _MOST_BYTES:
        raise AdoptionError(
            "a network in ONNX must have less than 2 GiB with its weights, the most that one file "
            f"of this format holds; {name} has {count / (1 << 30):.1f} GiB"
        )


def _count_bytes(tensor: onnx.TensorProto) -> int:
    """Return the length of a weight that lies in a file beside the network, else 0."""
    if not onnx.external_data_helper.uses_external_data(tensor):
        return 0
    return math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def find_opset(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators that a model uses."""
    return max((entry.version for entry in model.opset_import if not entry.domain), default=1)


def _name_standard_domain(model: onnx.ModelProto) -> None:
    """Name the domain of the standard operators by no letters, not by its other name."""
    named = [*model.opset_import]
    for function in model.functions:
        named += [*function.opset_import, *_list_nodes(function.node)]
    for entry in (*named, *_list_nodes(model.graph.node)):
        if entry.domain == _STANDARD_DOMAIN:
            entry.domain = ""


def _list_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """List nodes, and those of the graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _list_nodes(graph.node)


def _update(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Convert a model of an old opset, and refuse one of an unknown opset."""
    opset, newest = find_opset(model), onnx.defs.onnx_opset_version()
    if opset > newest:
        raise AdoptionError(
            f"the opset of a network must be at most {newest}, which onnx {onnx.__version__} "
            f"knows; that of {name} is {opset}"
        )
    if opset >= OLDEST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:
        raise AdoptionError(
            f"a network must be convertible to opset {OLDEST_OPSET}; {name} of opset {opset} is "
            f"not: {first_line(error)}"
        ) from error


def _open_batch(model: onnx.ModelProto) -> None:
    """Let a network that was exported with some images take any number. `adopt` tries it out."""
    for value in (*model.graph.input, *model.graph.output):
        shape = value.type.tensor_type.shape
        if value.type.tensor_type.HasField("shape") and shape.dim and shape.dim[0].dim_value >= 1:
            shape.dim[0].dim_param = "N"
    del model.graph.value_info[:]


def _open(model: onnx.ModelProto, name: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise AdoptionError(
            f"{name} must load in ONNX Runtime {onnxruntime.__version__}; {first_line(error)}"
        ) from error


def _describe(tensors: Sequence[Any]) -> list[TensorFacts]:
    """Describe inputs or outputs. ONNX Runtime tells no rank by no lengths."""
    facts = []
    for tensor in tensors:
        dtype = tensor.type.removeprefix("tensor(").removesuffix(")")
        shape = tuple(side if isinstance(side, int) else None for side in tensor.shape or ())
        facts.append(TensorFacts(tensor.name, shape or None, _TYPES.get(dtype, dtype)))
    return facts
