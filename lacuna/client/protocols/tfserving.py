"""TensorFlow Serving's REST API, by rows: `POST /v1/models/{name}:predict`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from lacuna.client.calls import HttpCall, Question, Steps
from lacuna.client.catalog import Catalog, name_classes
from lacuna.client.failures import FailedError
from lacuna.client.protocols.native import read_timings
from lacuna.client.protocols.samples import read_tensors
from lacuna.client.result import Result
from lacuna.client.server_warnings import read_warnings
from lacuna.errors import MalformedRequestError

_CHUNK_NUMBERS = 1 << 16

_DEPTHS = {"DT_UINT8": "uint8", "DT_UINT16": "uint16"}


def segment(question: Question, catalog: Catalog) -> Steps[Result]:
    """Request a segmentation.

    Args:
        question: image, mask and options.
        catalog: of the server's models.

    Raises:
        MalformedRequestError: if planes are asked for that the protocol does not have.
    """
    if question.also:
        raise MalformedRequestError(f"also={','.join(question.also)} needs another protocol")
    version = None if question.version is None else str(question.version)
    name = yield from catalog.find_name(question.model, version)
    model = yield from catalog.find_model(name, version)
    path = f"/v1/models/{quote(name, safe='')}"
    if version is not None:
        path += f"/{'versions' if version.isdigit() else 'labels'}/{quote(version, safe='')}"
    description = yield HttpCall("GET", f"{path}/metadata")
    metadata = json.loads(description.content)
    channels, dtype = _read_input(model, metadata)
    names = model.get("image", {}).get("bands", ())
    image, mask, warnings = read_tensors(question, channels, dtype, names)
    reply = yield write_call(f"{path}:predict", image, mask, probabilities=question.probabilities)
    labels, probabilities = read_prediction(reply.content, image.shape[:2])
    return Result(
        labels,
        name_classes(model, labels),
        name,
        str(metadata["model_spec"]["version"]),
        probabilities,
        read_timings(reply),
        question.image,
        warnings=(*warnings, *read_warnings(reply)),
    )


def write_call(
    path: str, image: NDArray[Any], mask: NDArray[Any] | None, *, probabilities: bool
) -> HttpCall:
    """Write a request: a row of nested lists, which TensorFlow Serving itself reads, too.

    Args:
        path: of the model's `predict`.
        image: (H, W, C) numbers.
        mask: (H, W), non-zero = valid; None for no mask.
        probabilities: whether the answer holds probabilities.
    """
    valid = np.ones(image.shape[:2], np.bool_) if mask is None else mask != 0
    signature = b"serving_default" if probabilities else b"labels"
    pieces = [
        b'{"signature_name": "%b", "instances": [{"image": ' % signature,
        *_write_nested(image),
        b', "mask": ',
        *_write_nested(valid[:, :, None]),
        b"}]}",
    ]
    headers = {"Content-Type": "application/json"}
    return HttpCall("POST", path, headers, content=b"".join(pieces))


def _write_nested(array: NDArray[Any]) -> Iterator[bytes]:
    """Write an array as nested lists, some rows at a time.

    A list of numbers takes up to ten times the memory of its array.
    """
    rows = max(1, _CHUNK_NUMBERS // max(math.prod(array.shape[1:]), 1))
    yield b"["
    for start in range(0, len(array), rows):
        chunk = json.dumps(array[start : start + rows].tolist())
        yield f"{', ' if start else ''}{chunk[1:-1]}".encode()
    yield b"]"


def read_prediction(
    content: bytes, size: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Read an answer.

    Args:
        content: the answer.
        size: height and width that it must have.

    Raises:
        FailedError: if the answer breaks the protocol.
    """
    try:
        (prediction,) = json.loads(content)["predictions"]
        if not isinstance(prediction, dict):
            return np.array(prediction, np.uint8).reshape(size), None
        labels = np.array(prediction["labels"], np.uint8).reshape(size)
        return labels, np.array(prediction["probabilities"], np.float32).reshape(*size, -1)
    except (ValueError, KeyError, TypeError) as error:
        raise FailedError(f"the answer must follow the protocol; it does not: {error}") from error


def _read_input(model: Mapping[str, Any], metadata: dict[str, Any]) -> tuple[int, str]:
    """Return the channels and the dtype of the images that a model takes."""
    if "image" in model:
        return int(model["image"]["channels"]), str(model["image"]["dtype"])
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    described = signatures["serving_default"]["inputs"]["image"]
    sides = [int(side["size"]) for side in described["tensor_shape"]["dim"]]
    return math.prod(sides[-1:]), _DEPTHS.get(described["dtype"], "float32")
