"""Health checks of the Open Inference Protocol."""

from __future__ import annotations

from typing_extensions import TypedDict

from service.web.openapi.errors import describe_errors
from service.web.openapi.health import describe_unavailable
from service.web.openapi.operations import (
    MODEL,
    Operation,
    describe_answer,
    describe_json,
    describe_success,
)
from service.web.openapi.schemas import refer


class ServerLive(TypedDict):
    """Liveness of the server.

    Attributes:
        live: Whether the engine makes progress.
    """

    live: bool


class ServerReady(TypedDict):
    """Readiness of the server.

    Attributes:
        ready: Whether every model that should serve does.
    """

    ready: bool


class ModelReady(TypedDict):
    """Readiness of a model.

    Attributes:
        name: Name of the model.
        ready: Whether it would take a request.
    """

    name: str
    ready: bool


SCHEMAS = (ServerLive, ServerReady, ModelReady)

IS_SERVER_LIVE = Operation(
    "is_server_live",
    "Check that the engine makes progress",
    {
        **describe_success("It does.", refer(ServerLive), {"live": True}),
        503: describe_answer(
            "A call of a model exceeds the watchdog's limit.",
            describe_json(refer(ServerLive), {"live": False}),
        ),
        **describe_errors(500),
    },
    access="open",
)

IS_SERVER_READY = Operation(
    "is_server_ready",
    "Check that every model that should serve does",
    {
        **describe_success("All do.", refer(ServerReady), {"ready": True}),
        503: describe_unavailable(
            "A model is not ready, or the server shuts down.",
            describe_json(refer(ServerReady), {"ready": False}),
        ),
        **describe_errors(500),
    },
    access="open",
)

IS_MODEL_READY = Operation(
    "is_model_ready",
    "Check that a model is ready",
    {
        **describe_success("It is.", refer(ModelReady), {"name": "groundcover", "ready": True}),
        **describe_errors(401, 404, 500),
        503: describe_unavailable(
            "It is not, or the server shuts down.",
            describe_json(refer(ModelReady), {"name": "groundcover", "ready": False}),
        ),
    },
    parameters=[MODEL],
)
