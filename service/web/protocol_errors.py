"""Errors in the form of the request's protocol.

Under the paths of the Open Inference Protocol and of TensorFlow Serving every error is
`{"error": "…"}`, because their clients read no other form. Under all other paths an error is a
problem document (see `service.web.problems`).
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from lacuna.errors import LacunaError
from service.listening.statuses import INTERNAL_ERROR, UNEXPECTED
from service.web import problems

_OIP = "/v2"
_TFSERVING = "/v1/models/"

# Both protocols use 400 for every fault in the content of a request.
_STATUSES = {406: 400, 422: 400}


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Make the response for a `LacunaError`; raise any other error."""
    problem = await problems.answer_error(request, error)
    if not isinstance(error, LacunaError) or not _has_own_shape(request.scope):
        return problem
    return _restate(problem, error.message)


async def render_error(scope: Scope, error: LacunaError) -> JSONResponse:
    """Make the response for an error that was found outside the application."""
    return await answer_error(Request(scope), error)


async def answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Make the response for a request that the framework refused: unknown path or method."""
    problem = await problems.answer_http_exception(request, error)
    if not isinstance(error, HTTPException) or not _has_own_shape(request.scope):
        return problem
    return _restate(
        problem, f"{error.detail}: {request.method} {request.url.path[: problems.MAX_PATH]}"
    )


async def answer_unexpected(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the response for an unexpected exception."""
    problem = problems.make_problem(500, INTERNAL_ERROR, UNEXPECTED)
    response = _restate(problem, UNEXPECTED) if _has_own_shape(scope) else problem
    await response(scope, receive, send)


def make_error(status: int, message: str) -> JSONResponse:
    """Make an error response in the form of both protocols.

    Args:
        status: HTTP status.
        message: message for people.
    """
    return JSONResponse({"error": message}, status)


def _has_own_shape(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == _OIP or path.startswith((f"{_OIP}/", _TFSERVING))


def _restate(problem: JSONResponse, message: str) -> JSONResponse:
    response = make_error(_STATUSES.get(problem.status_code, problem.status_code), message)
    for name, value in problem.headers.items():
        response.headers.setdefault(name, value)
    return response
