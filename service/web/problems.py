"""Errors as RFC 9457 problem details."""

from __future__ import annotations

import http
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from lacuna import errors
from service.listening.statuses import RETRY_LATER_S, STATUSES, find_retry_s
from service.web.request_log import add_log_fields

MEDIA_TYPE = "application/problem+json"

RETRY_LATER: Mapping[str, str] = MappingProxyType({"Retry-After": f"{RETRY_LATER_S}"})
"""Header of a 503 whose end is not known."""

MAX_PATH = 200
"""Most characters of a path in a message."""

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
    return JSONResponse(describe_problem(status, code, detail), status, headers, MEDIA_TYPE)


def describe_problem(status: int, code: str, detail: str) -> dict[str, Any]:
    """Return the content of the response of an error; see `make_problem`."""
    return {
        "type": f"urn:lacuna:problem:{code}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Make the response for a `LacunaError`; raise any other error."""
    if not isinstance(error, errors.LacunaError):
        raise error
    add_log_fields(request.scope, code=error.code, detail=error.message)
    headers = {}
    if isinstance(error, (errors.BodyTooLargeError, errors.SlowBodyError)):
        # A client that is still sending the refused body reads the response only if we close.
        headers["Connection"] = "close"
    retry_s = find_retry_s(error)
    if retry_s is not None:
        headers["Retry-After"] = f"{retry_s:.0f}"
    if isinstance(error, errors.UnsupportedMediaTypeError) and error.codings:
        headers["Accept-Encoding"] = ", ".join(error.codings)
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="lacuna"'
    return make_problem(STATUSES[type(error)].http, error.code, error.message, headers)


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
