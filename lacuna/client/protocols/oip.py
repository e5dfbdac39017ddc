"""The Open Inference Protocol, version 2, with binary tensors: `POST /v2/models/{name}/infer`."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from lacuna.client.calls import HttpCall, HttpReply, Question, Steps
from lacuna.client.catalog import Catalog, name_classes
from lacuna.client.failures import FailedError
from lacuna.client.protocols.native import read_timings
from lacuna.client.protocols.samples import read_tensors
from lacuna.client.result import Result
from lacuna.client.server_warnings import read_warnings
from lacuna.datatypes import DATATYPES
from lacuna.planes import CONFIDENCE, PROBABILITIES, SUPPORT
from lacuna.raster.band_parameters import parse_bands

HEADER_LENGTH = "Inference-Header-Content-Length"

_NAMES = {dtype.newbyteorder("="): name for name, dtype in DATATYPES.items()}
_DEPTHS = MappingProxyType({"UINT8": "uint8", "UINT16": "uint16"})


def segment(question: Question, catalog: Catalog) -> Steps[Result]:
    """Request a segmentation.

    Args:
        question: image, mask and options.
        catalog: of the server's models.
    """
    name = yield from catalog.find_name(question.model, _text(question.version))
    path = f"/v2/models/{quote(name, safe='')}"
    if question.version is not None:
        path += f"/versions/{quote(str(question.version), safe='')}"
    description = yield HttpCall("GET", path)
    metadata = json.loads(description.content)
    (described,) = (entry for entry in metadata["inputs"] if entry["name"] == "image")
    names = parse_bands(metadata.get("properties", {}).get("bands")) or ()
    image, mask, warnings = read_tensors(
        question,
        int(described["shape"][-1]),
        _DEPTHS.get(described["datatype"], "float32"),
        [str(name) for name in names],
    )
    reply = yield write_call(f"{path}/infer", question, image, mask)
    head, outputs = read_outputs(reply)
    labels = outputs["labels"][0].astype(np.uint8, copy=False)
    version = str(head.get("model_version", ""))
    model = yield from catalog.find_model(name, version or None)
    planes = {name: outputs[name][0] for name in question.planes}
    return Result(
        labels,
        name_classes(model, labels),
        name,
        version,
        planes.get(PROBABILITIES),
        read_timings(reply),
        question.image,
        warnings=(*warnings, *read_warnings(reply)),
        confidence=planes.get(CONFIDENCE),
        support=planes.get(SUPPORT),
    )


def write_call(
    path: str, question: Question, image: NDArray[Any], mask: NDArray[Any] | None
) -> HttpCall:
    """Write a request.

    Args:
        path: of the model's `infer`.
        question: image, mask and options.
        image: (H, W, C) numbers.
        mask: (H, W), non-zero = valid; None for no mask.
    """
    if image.dtype == np.bool_:
        image = image.astype(np.uint8)
    tensors = {"image": (image, _NAMES[image.dtype.newbyteorder("=")])}
    if mask is not None:
        tensors["mask"] = ((mask != 0).astype(np.uint8), "BOOL")
    raw = [
        np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<"))
        for tensor, _ in tensors.values()
    ]
    wanted = ("labels", *question.planes)
    head: dict[str, Any] = {
        "inputs": [
            {
                "name": name,
                "shape": [1, *tensor.shape],
                "datatype": datatype,
                "parameters": {"binary_data_size": data.nbytes},
            }
            for (name, (tensor, datatype)), data in zip(tensors.items(), raw, strict=True)
        ],
        "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in wanted],
    }
    if question.timeout_s is not None:
        head["parameters"] = {"timeout": round(question.timeout_s * 1e6)}
    text = json.dumps(head).encode()
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))}
    return HttpCall("POST", path, headers, content=b"".join([text, *(data.data for data in raw)]))


def read_outputs(reply: HttpReply) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read an answer.

    Returns:
        The JSON head, and the outputs by name.

    Raises:
        FailedError: if the answer breaks the protocol.
    """
    length = int(reply.headers.get(HEADER_LENGTH.lower(), len(reply.content)))
    outputs: dict[str, NDArray[Any]] = {}
    try:
        head = json.loads(reply.content[:length])
        start = length
        for entry in head["outputs"]:
            dtype, shape = DATATYPES[entry["datatype"]], entry["shape"]
            if "data" in entry:
                outputs[entry["name"]] = np.array(entry["data"], dtype).reshape(shape)
                continue
            count = math.prod(shape)
            flat = np.frombuffer(reply.content, dtype, count, start)
            outputs[entry["name"]] = flat.reshape(shape)
            start += flat.nbytes
    except (ValueError, KeyError, TypeError) as error:
        raise FailedError(f"the answer must follow the protocol; it does not: {error}") from error
    return head, outputs


def _text(version: str | int | None) -> str | None:
    return None if version is None else str(version)
