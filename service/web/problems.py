"""Errors as RFC 9457 problem details, and the table of their HTTP statuses."""

from __future__ import annotations

import http
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from lacuna import errors
from service.web.request_log import add_log_fields

MEDIA_TYPE = "application/problem+json"

STATUSES: Mapping[type[errors.LacunaError], int] = MappingProxyType(
    {
        errors.EmptyBodyError: 400,
        errors.MalformedRequestError: 400,
        errors.UnsupportedMediaTypeError: 415,
        errors.NotAcceptableError: 406,
        errors.BodyTooLargeError: 413,
        errors.ImageTooLargeError: 413,
        errors.InvalidImageError: 422,
        errors.InvalidMaskError: 422,
        errors.ChannelMismatchError: 422,
        errors.NotGeoreferencedError: 422,
        errors.TooDetailedError: 422,
        errors.UnknownModelError: 404,
        errors.UnknownVersionError: 404,
        errors.UnauthenticatedError: 401,
        errors.ForbiddenError: 403,
        errors.SlowBodyError: 408,
        errors.OverloadedError: 429,
        errors.NotReadyError: 503,
        errors.OutOfMemoryError: 503,
        errors.DeadlineExceededError: 504,
        errors.ConfigurationError: 500,
        errors.MissingExtraError: 500,
        errors.SceneError: 500,
        errors.MissingManifestError: 500,
        errors.InvalidManifestError: 500,
        errors.ChecksumMismatchError: 500,
        errors.InvalidGraphError: 500,
        errors.SignatureMismatchError: 500,
        errors.InferenceError: 500,
    }
)

RETRY_LATER: Mapping[str, str] = MappingProxyType({"Retry-After": "5"})
"""Header of a 503 whose end is not known: that of the load of a model. A retry is cheap."""

MAX_PATH = 200
"""Most characters of a path in a message."""

INTERNAL_ERROR = "internal_error"

# Requests that the framework refuses before our code sees them.
_FRAMEWORK_CODES = {404: "not_found", 405: "method_not_allowed"}


def make_problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make the response of an error.

    Args:
        status: HTTP status.
        code: stable name of the kind of error, for programs.
        detail: message for people.
        headers: additional headers.
    """
    content = {
        "type": f"urn:lacuna:problem:{code}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JSONResponse(content, status, headers, MEDIA_TYPE)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Make the response for a `LacunaError`; raise any other error."""
    if not isinstance(error, errors.LacunaError):
        raise error
    add_log_fields(request.scope, code=error.code, detail=error.message)
    headers = {}
    if isinstance(error, (errors.BodyTooLargeError, errors.SlowBodyError)):
        # A client that is still sending the refused body reads the response only if we close.
        headers["Connection"] = "close"
    if isinstance(error, (errors.OverloadedError, errors.OutOfMemoryError)):
        headers["Retry-After"] = f"{error.retry_after_s:.0f}"
    if isinstance(error, errors.NotReadyError):
        headers |= RETRY_LATER
    if isinstance(error, errors.UnsupportedMediaTypeError) and error.codings:
        headers["Accept-Encoding"] = ", ".join(error.codings)
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="lacuna"'
    return make_problem(STATUSES[type(error)], error.code, error.message, headers)


async def answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Make the response for a request that the framework refused: unknown path or method."""
    if not isinstance(error, HTTPException):
        raise error
    code = _FRAMEWORK_CODES.get(error.status_code, "http_error")
    add_log_fields(request.scope, code=code)
    detail = f"{error.detail}: {request.method} {request.url.path[:MAX_PATH]}"
    return make_problem(error.status_code, code, detail, _complete_allow(error.headers))


def _complete_allow(headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Add HEAD to the allowed methods where GET is one, in the order of the alphabet."""
    if not headers or "Allow" not in headers:
        return headers
    methods = set(headers["Allow"].split(", "))
    if "GET" in methods:
        methods.add("HEAD")
    return {**headers, "Allow": ", ".join(sorted(methods))}


def describe_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the errors of a route, by status."""
    return {
        status: {
            "description": ", ".join(
                sorted(kind.code for kind, value in STATUSES.items() if value == status)
            )
            or http.HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {}},
        }
        for status in statuses
    }
