"""What the application is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.engine.gate import Gate
from service.engine.lifecycle.repository import ModelRepository
from service.engine.watchdog import Watchdog
from service.pipeline import Pipeline
from service.telemetry import Telemetry
from service.web.access import Access
from service.web.body import BodyLimits


@dataclass(frozen=True)
class Surface:
    """Which of the paths for operators are there.

    Attributes:
        docs: `/docs` and `/openapi.json`.
        metrics: `/metrics`, here and not on a port of its own.
    """

    docs: bool = True
    metrics: bool = True


@dataclass(frozen=True)
class AppServices:
    """The things that routes work with.

    Attributes:
        pipeline: that answers requests.
        gate: that requests pass before their bodies are read.
        watchdog: that tells whether the engine makes progress.
        telemetry: that counts what happens.
        body_limits: how much of a body is read.
        access: who may ask for what.
        surface: which of the paths for operators are there.
    """

    pipeline: Pipeline
    gate: Gate
    watchdog: Watchdog
    telemetry: Telemetry
    body_limits: BodyLimits = field(default_factory=BodyLimits)
    access: Access = field(default_factory=Access)
    surface: Surface = field(default_factory=Surface)

    @property
    def is_ready(self) -> bool:
        """Whether every model that should serve does, and the server is not going away."""
        return self.repository.is_ready and not self.gate.is_closed

    @property
    def repository(self) -> ModelRepository:
        """The models."""
        return self.pipeline.repository
