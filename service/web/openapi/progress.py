"""`GET /v1/progress/{request_id}`."""

from __future__ import annotations

from typing_extensions import TypedDict

from lacuna.errors import UnknownRequestError
from service.web.openapi.errors import describe_kind, describe_problems
from service.web.openapi.operations import Operation, describe_parameter, describe_success
from service.web.openapi.schemas import refer


class WindowCount(TypedDict):
    """Count of the windows that a request is computed in.

    Attributes:
        done: Number of finished windows.
        total: Number of all windows; 0 until the first image is decoded and planned.
    """

    done: int
    total: int


class RequestProgress(TypedDict):
    """Progress of a request.

    Attributes:
        windows: Count of its windows.
        ended: Whether its answer is ready, or it has failed.
    """

    windows: WindowCount
    ended: bool


SCHEMAS = (RequestProgress,)

_REQUEST_ID = describe_parameter(
    "path",
    "request_id",
    {"type": "string"},
    "`X-Request-ID` that the client has given its request.",
    example="7c0e9a52f1d84b36",
)

GET_PROGRESS = Operation(
    "get_progress",
    "Return how much of a request is computed",
    {
        **describe_success(
            "The progress.",
            refer(RequestProgress),
            {"windows": {"done": 12, "total": 90}, "ended": False},
        ),
        **describe_problems(401, 500, 503),
        **describe_kind(UnknownRequestError),
    },
    description="Of requests that the same client has sent over HTTP with an `X-Request-ID` of its "
    "own. A large image is computed in windows, which are counted. The last requests that have "
    "ended are remembered for a while.",
    parameters=[_REQUEST_ID],
)
