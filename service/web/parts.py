"""What the application is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.engine.gate import Gate
from service.engine.repository import Repository
from service.engine.watchdog import Watchdog
from service.pipeline import Pipeline
from service.telemetry import Telemetry
from service.web.body import BodyLimits


@dataclass(frozen=True)
class Parts:
    """The things that routes work with.

    Attributes:
        pipeline: that answers requests.
        gate: that requests pass before their bodies are read.
        watchdog: that tells whether the engine makes progress.
        telemetry: that counts what happens.
        body_limits: how much of a body is read.
    """

    pipeline: Pipeline
    gate: Gate
    watchdog: Watchdog
    telemetry: Telemetry
    body_limits: BodyLimits = field(default_factory=BodyLimits)

    @property
    def repository(self) -> Repository:
        """The models."""
        return self.pipeline.repository
