"""Health checks and metrics."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from service.engine.lifecycle.version_lifecycle import ModelState
from service.web.openapi.errors import describe_problems
from service.web.openapi.operations import (
    Object,
    Operation,
    describe_answer,
    describe_json,
    describe_success,
)
from service.web.openapi.schemas import refer


class Liveness(TypedDict):
    """Whether calls of models come back.

    Attributes:
        status: `hangs` if one has exceeded the limit of the watchdog.
        running_s: Seconds that this call has run.
    """

    status: Literal["alive", "hangs"]
    running_s: NotRequired[float]


class VersionReadiness(TypedDict):
    """State of a version of a model.

    Attributes:
        name: Name of the model.
        version: Version of the model; empty if it has none.
        state: State of the version.
        reason: Why it failed or waits; empty otherwise.
        warmed: Share of the warm-up that is done, 0 to 1.
    """

    name: str
    version: str
    state: ModelState
    reason: str
    warmed: float


class Readiness(TypedDict):
    """Whether every model that should serve does.

    Attributes:
        status: `draining` while the server shuts down.
        models: State of each version.
    """

    status: Literal["ready", "not ready", "draining"]
    models: list[VersionReadiness]


SCHEMAS = (Liveness, Readiness)

_READY = {
    "status": "ready",
    "models": [
        {"name": "groundcover", "version": "1", "state": "ready", "reason": "", "warmed": 1.0}
    ],
}
_LOADING = {
    "status": "not ready",
    "models": [
        {"name": "groundcover", "version": "1", "state": "warming", "reason": "", "warmed": 0.4}
    ],
}
_HANGS = {"status": "hangs", "running_s": 61.2}


def describe_unavailable(description: str, content: Object) -> Object:
    """Return the answer of a health check that fails."""
    return describe_answer(description, content, "Retry-After")


CHECK_LIVENESS = Operation(
    "check_liveness",
    "Check that the process answers and its engine makes progress",
    {
        **describe_success("It does.", refer(Liveness), {"status": "alive"}),
        503: describe_unavailable(
            "A call of a model exceeds the watchdog's limit.",
            describe_json(refer(Liveness), _HANGS),
        ),
        **describe_problems(500),
    },
    access="open",
)

CHECK_READINESS = Operation(
    "check_readiness",
    "Check that every model that should serve does",
    {
        **describe_success("All do.", refer(Readiness), _READY),
        503: describe_unavailable(
            "A model is not ready, which the body names, or the server shuts down.",
            describe_json(refer(Readiness), _LOADING),
        ),
        **describe_problems(500),
    },
    access="open",
)

_PLATFORM_ANSWERS = {
    **describe_success("All is well.", refer(Readiness), _READY),
    503: describe_unavailable(
        "A model is not ready, the server shuts down, or a call of a model hangs.",
        describe_json(refer(Readiness, Liveness), ready=_LOADING, hangs=_HANGS),
    ),
    **describe_problems(500),
}


def describe_ping(name: str) -> Operation:
    """Return the health check of a platform that has a single one.

    Args:
        name: name of the operation.
    """
    return Operation(
        name,
        "Check that every model that should serve does, and the engine makes progress",
        _PLATFORM_ANSWERS,
        access="open",
    )


GET_METRICS = Operation(
    "get_metrics",
    "Return metrics for Prometheus, as text or by `Accept` as OpenMetrics",
    {
        200: describe_answer(
            "Metrics of requests, stages, queue and models.",
            {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            },
        ),
        **describe_problems(500),
    },
    access="open",
)
