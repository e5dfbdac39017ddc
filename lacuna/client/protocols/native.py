"""`POST /v1/segment`.

Labels are requested as JSON: areas in run lengths, with the names of model and classes, all from
the version that gave the answer. With planes the answer is NPZ, and with `brief` it is NPY; the
names are then requested once.
"""

from __future__ import annotations

import io
import json
import re
import uuid
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.client.calls import HttpCall, HttpReply, Question, Steps
from lacuna.client.catalog import Catalog, name_classes, read_classes
from lacuna.client.result import Result
from lacuna.client.server_warnings import parse_warnings, read_warnings
from lacuna.client.sources import Image, read_source
from lacuna.georeference import ControlPoint, Georeference
from lacuna.planes import CONFIDENCE, PROBABILITIES, SUPPORT
from lacuna.raster import rle
from lacuna.raster.band_parameters import write_bands
from lacuna.raster.npy import Buffer, read_npy
from lacuna.sample import INVALID_LABEL

JSON = "application/json"
NPY = "application/x-npy"
NPZ = "application/zip"

_TIMING = re.compile(r"([\w-]+);dur=([\d.]+)")


def segment(question: Question, catalog: Catalog) -> Steps[Result]:
    """Request a segmentation.

    Args:
        question: image, mask and options.
        catalog: of the server's models.
    """
    if not (question.planes or question.brief):
        reply = yield write_call(question, JSON)
        result = read_json(reply.content, question.image, read_timings(reply))
        return result if result.warnings else replace(result, warnings=read_warnings(reply))
    reply = yield write_call(question, NPZ if question.planes else NPY)
    content = reply.content
    arrays = read_npz(content) if question.planes else {"labels": read_npy(content)}
    labels = arrays["labels"]
    version = None if question.version is None else str(question.version)
    model = yield from catalog.find_model(question.model, version)
    return Result(
        labels,
        name_classes(model, labels),
        str(model.get("name", question.model or "")),
        str(model.get("version", question.version or "")),
        arrays.get(PROBABILITIES),
        read_timings(reply),
        question.image,
        warnings=read_warnings(reply),
        confidence=arrays.get(CONFIDENCE),
        support=arrays.get(SUPPORT),
    )


def write_call(question: Question, media_type: str) -> HttpCall:
    """Write a request.

    Args:
        question: image, mask and options.
        media_type: of the answer.
    """
    bands = question.selection.bands
    parameters = {
        "model": question.model,
        "version": question.version,
        "nodata": question.nodata,
        "timeout_s": question.timeout_s,
        "stretch": question.stretch,
        # Servers of before know no `also`; without it, NPZ holds probabilities.
        "also": ",".join(question.planes) if question.also else None,
        "bands": None if bands is None else write_bands(bands),
        "alpha": question.alpha,
    }
    boundary = uuid.uuid4().hex
    pieces: list[Buffer] = []
    for name, value in parameters.items():
        if value is not None:
            pieces += [_write_head(boundary, name), str(value).encode(), b"\r\n"]
    for name, source in (("image", question.image), ("mask", question.mask)):
        if source is not None:
            head = _write_head(boundary, name, is_file=True)
            pieces += [head, read_source(source), b"\r\n"]
    # The body is one piece. HTTP libraries send the parts of a form one by one, which costs client
    # and server more than the rest of a small request. It is joined once: images may be huge.
    body = b"".join([*pieces, f"--{boundary}--\r\n".encode()])
    kind = f"multipart/form-data; boundary={boundary}"
    return HttpCall("POST", "/v1/segment", {"Accept": media_type, "Content-Type": kind}, body)


def _write_head(boundary: str, name: str, *, is_file: bool = False) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if is_file:
        head += f'; filename="{name}"\r\nContent-Type: application/octet-stream'
    return f"{head}\r\n\r\n".encode()


def read_json(content: bytes, image: Image | None, timings_ms: dict[str, float]) -> Result:
    """Read a JSON answer.

    Args:
        content: the answer.
        image: that was sent.
        timings_ms: of each stage; if empty, those in the answer are used.
    """
    answer = json.loads(content)
    size = answer["size"]["height"], answer["size"]["width"]
    labels = np.full(size, INVALID_LABEL, np.uint8)
    for entry in answer["classes"]:
        if entry["pixels"]:
            labels[rle.decode(entry["segmentation"], labels.size)] = entry["id"]
    areas_m2 = {
        entry["name"]: entry["area_m2"] for entry in answer["classes"] if "area_m2" in entry
    }
    return Result(
        labels,
        read_classes(answer["classes"]),
        answer["model"]["name"],
        answer["model"]["version"],
        timings_ms=timings_ms or answer["timings_ms"],
        image=image,
        warnings=parse_warnings(answer.get("warnings")),
        georeference=_read_georeference(answer.get("georeference")),
        areas_m2=areas_m2 or None,
    )


def _read_georeference(found: dict[str, Any] | None) -> Georeference | None:
    if found is None:
        return None
    transform = found["transform"]
    return Georeference(
        found["crs"],
        None if transform is None else tuple(transform),
        tuple(ControlPoint(**point) for point in found.get("gcps", ())),
        found["pixel_area_m2"],
    )


def read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """Read labels and planes, by name."""
    with np.load(io.BytesIO(content), allow_pickle=False) as answer:
        return dict(answer)


def read_timings(reply: HttpReply) -> dict[str, float]:
    """Read the milliseconds of each stage from `Server-Timing`."""
    return {
        name: float(value)
        for name, value in _TIMING.findall(reply.headers.get("server-timing", ""))
    }
