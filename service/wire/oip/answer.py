"""Rendering of the answers of `POST …/infer`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.comparison import AnswerWarning, write_warnings
from lacuna.sample import Segmentation
from service.wire.dialect import Reply
from service.wire.json_numbers import write_flat
from service.wire.oip.outputs import RequestedOutput
from service.wire.oip.request import HEADER_LENGTH, InferRequest
from service.wire.outputs import LABELS, choose_output

JSON = "application/json"
BINARY = "application/octet-stream"


def render_infer(
    model: str,
    version: str,
    request: InferRequest,
    segmentations: Sequence[Segmentation],
    warnings: Sequence[AnswerWarning] = (),
) -> Reply:
    """Render an answer.

    Args:
        model: name of the model that answered.
        version: version of the model.
        request: request to answer.
        segmentations: one per image, all of equal size, with probabilities if the request wants
            them.
        warnings: reasons why the segmentations may be wrong. The protocol's parameters are single
            values, so all warnings are one of them, as JSON.
    """
    head: dict[str, Any] = {"model_name": model, "model_version": version}
    if request.id is not None:
        head["id"] = request.id
    if warnings:
        head["parameters"] = {"warnings": write_warnings(warnings)}
    outputs = [
        (output, [choose_output(segmentation, output.name) for segmentation in segmentations])
        for output in request.outputs
    ]
    described = b",".join(_describe(output, arrays) for output, arrays in outputs)
    text = _dump(head)[:-1] + b',"outputs":[' + described + b"]}"
    raw = [array for output, arrays in outputs if output.binary for array in arrays]
    if not raw:
        return Reply({"Content-Type": JSON}, text)
    headers = {"Content-Type": BINARY, HEADER_LENGTH: str(len(text))}
    return Reply(headers, b"".join([text, *(np.ascontiguousarray(array).data for array in raw)]))


def find_datatype(output: str) -> str:
    """Return the datatype of an output, by its name."""
    return "UINT8" if output == LABELS else "FP32"


def _describe(output: RequestedOutput, arrays: Sequence[NDArray[Any]]) -> bytes:
    described = {
        "name": output.name,
        "datatype": find_datatype(output.name),
        "shape": [len(arrays), *arrays[0].shape],
    }
    if output.binary:
        size = sum(array.nbytes for array in arrays)
        return _dump(described | {"parameters": {"binary_data_size": size}})
    data = b",".join(write_flat(array) for array in arrays)
    return _dump(described)[:-1] + b',"data":[' + data + b"]}"


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
