"""The repository of models by the Open Inference Protocol: index, load and unload."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from service.web.openapi.errors import describe_errors
from service.web.openapi.operations import (
    MODEL,
    Operation,
    describe_answer,
    describe_json,
    describe_success,
)
from service.web.openapi.schemas import refer

_State = Literal["LOADING", "READY", "UNLOADING", "UNAVAILABLE"]


class IndexRequest(TypedDict):
    """Request for the index of the repository.

    Attributes:
        ready: Whether only ready versions are listed; null counts as missing.
    """

    ready: NotRequired[bool | None]


class IndexEntry(TypedDict):
    """Version of a model in the repository.

    Attributes:
        name: Name of the model.
        version: Version of the model; empty if it has none.
        state: State of the version.
        reason: Why it is not ready; empty otherwise.
    """

    name: str
    version: str
    state: _State
    reason: str


class ControlParameters(TypedDict):
    """Parameters of a load or an unload. None of them changes a model.

    Attributes:
        unload_dependents: Without effect, because no model depends on another.
    """

    unload_dependents: NotRequired[bool]


class ControlRequest(TypedDict):
    """Request to load or unload a model.

    Attributes:
        parameters: Parameters of the request.
    """

    parameters: NotRequired[ControlParameters]


SCHEMAS = (IndexRequest, IndexEntry, ControlRequest)

_CONTROL_ERRORS = describe_errors(400, 401, 403, 404, 408, 413, 415, 500, 503)
_CONTROL_BODY = describe_json(refer(ControlRequest), {})

GET_INDEX = Operation(
    "get_model_repository_index",
    "List all versions of all models, with their states",
    {
        **describe_success(
            "All versions, or only those that are ready.",
            {"type": "array", "items": refer(IndexEntry)},
            [{"name": "groundcover", "version": "1", "state": "READY", "reason": ""}],
        ),
        **describe_errors(400, 401, 408, 413, 415, 500, 503),
    },
    body=describe_json(refer(IndexRequest), {"ready": True}),
    needs_body=False,
)

LOAD_MODEL = Operation(
    "load_model",
    "Load a model in its present state on disk",
    {200: describe_answer("It is loaded, checked and in service."), **_CONTROL_ERRORS},
    parameters=[MODEL],
    body=_CONTROL_BODY,
    needs_body=False,
    access="admin",
)

UNLOAD_MODEL = Operation(
    "unload_model",
    "Finish a model's work and stop serving it",
    {200: describe_answer("It is no longer served."), **_CONTROL_ERRORS},
    parameters=[MODEL],
    body=_CONTROL_BODY,
    needs_body=False,
    access="admin",
)
