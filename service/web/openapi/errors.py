"""Errors as answers, in the two forms that protocols have."""

from __future__ import annotations

import http
import inspect
from collections.abc import Mapping
from types import MappingProxyType

from typing_extensions import TypedDict

from lacuna.errors import (
    InferenceError,
    LacunaError,
    RequestError,
    UnavailableError,
    UnknownRequestError,
)
from service.listening.statuses import INTERNAL_ERROR, STATUSES, UNEXPECTED
from service.web.openapi.operations import Object, describe_json, refer_to_headers
from service.web.openapi.schemas import refer
from service.web.problems import MEDIA_TYPE, describe_problem


class Problem(TypedDict):
    """Error, as RFC 9457 describes problem details.

    Attributes:
        type: URN of the kind of error, `urn:lacuna:problem:` and the code.
        title: Phrase of the HTTP status.
        status: HTTP status.
        code: Stable name of the kind of error, for programs.
        detail: Sentence for people: the rule, then what came.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str


class ProtocolError(TypedDict):
    """Error in the form of the Open Inference Protocol and of TensorFlow Serving.

    Attributes:
        error: Sentence for people: the rule, then what came.
    """

    error: str


SCHEMAS = (Problem, ProtocolError)

_DETAILS: Mapping[str, str] = MappingProxyType(
    {
        "empty_body": "the body must hold an image; it has 0 bytes",
        "malformed_request": "timeout_s must be positive and finite; it is -1",
        "unauthenticated": "the request needs a key, as Authorization: Bearer KEY or X-API-Key: "
        "KEY; it has none",
        "forbidden": "loading and unloading models needs the admin key; the request has another "
        "key",
        "unknown_model": "the model must be one that is served: groundcover; not retina",
        "unknown_version": "version must be one that is served; groundcover has 1, not 2",
        "unknown_request": "the id must be the X-Request-ID of a request of the same client that "
        "is being answered or has just been; no such request has 7c0e9a52f1d84b36",
        "not_acceptable": "Accept must allow one of application/json, image/png; it is text/html",
        "slow_body": "the body must arrive within 300 s, without a pause of 20 s; 4096 bytes have "
        "arrived",
        "body_too_large": "the decompressed body must have at most 234881024 bytes; it has more",
        "image_too_large": "the body must hold at most 83896080 numbers; it holds more",
        "unsupported_media_type": "Content-Encoding must be one of gzip, deflate; it is br",
        "invalid_image": "image must be nested lists or an object with b64; it has url",
        "invalid_mask": "mask must have the image's height and width; image is 37×53, mask is "
        "37×52",
        "channel_mismatch": "the image must have the model's 3 channels; it has 5",
        "not_georeferenced": "polygons need an image with a coordinate reference system and a "
        "transform; this one has neither",
        "too_detailed": "polygons must have at most 262144 points at which outlines turn; these "
        "have 300000: ask for image/tiff instead",
        "overloaded": "the pending requests of groundcover must be at most 64; there are 64",
        "inference_failed": "the model failed: out of memory",
        INTERNAL_ERROR: UNEXPECTED,
        "not_ready": "the model must be ready; groundcover 1 is loading",
        "out_of_memory": "there must be memory to answer the request; there is none now",
        "deadline_exceeded": "the answer must arrive within timeout_s; 2 s are over",
    }
)
"""A message of each kind of error that is an answer, as an example."""

_ANSWERED = (RequestError, UnavailableError, InferenceError)
"""Errors that requests meet. Others keep a model or the server from starting."""

_OF_ONE_OPERATION = (UnknownRequestError,)
"""Errors that a single operation has."""

_HEADERS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {401: ("WWW-Authenticate",), 415: ("Accept-Encoding",), 429: ("Retry-After",)}
)

_UNEXPECTED = "Unexpected error, which the log has under the request's id."


def describe_problems(*statuses: int) -> dict[int, Object]:
    """Return the errors of an operation as problem details, by status."""
    return {status: _describe_problem(status, _list_kinds(status)) for status in statuses}


def describe_kind(kind: type[LacunaError]) -> dict[int, Object]:
    """Return the only error of an operation that has its status, by this status."""
    status = STATUSES[kind].http
    return {status: _describe_problem(status, {kind.code: _read_summary(kind)})}


def describe_errors(*statuses: int) -> dict[int, Object]:
    """Return the errors of an operation of the other two protocols, by status."""
    return {status: _describe_error(status) for status in statuses}


def _describe_problem(status: int, kinds: Mapping[str, str]) -> Object:
    examples = {code: {"value": describe_problem(status, code, _DETAILS[code])} for code in kinds}
    lines = [f"- `{code}`: {meaning}" for code, meaning in kinds.items()]
    media = {"schema": refer(Problem), "examples": examples}
    return _describe(status, "\n".join(lines), {MEDIA_TYPE: media})


def _describe_error(status: int) -> Object:
    # Both protocols use 400 for every fault in the content of a request.
    kinds = _list_kinds(status, *((406, 422) if status == 400 else ()))
    content = describe_json(refer(ProtocolError), {"error": _DETAILS[next(iter(kinds))]})
    return _describe(status, "\n".join(f"- {meaning}" for meaning in kinds.values()), content)


def _describe(status: int, description: str, content: Object) -> Object:
    headers = refer_to_headers("X-Request-ID", *_HEADERS.get(status, ()))
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        headers |= refer_to_headers("Retry-After")
    return {"description": description, "headers": headers, "content": content}


def _list_kinds(*statuses: int) -> dict[str, str]:
    """Return the codes that answers of these statuses may have, with their meanings."""
    kinds = {
        kind.code: _read_summary(kind)
        for kind, status in STATUSES.items()
        if status.http in statuses and issubclass(kind, _ANSWERED) and kind not in _OF_ONE_OPERATION
    }
    return kinds | ({INTERNAL_ERROR: _UNEXPECTED} if 500 in statuses else {})


def _read_summary(kind: type[LacunaError]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
