"""Objects that every listener works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.engine.admission_gate import AdmissionGate
from service.engine.lifecycle.repository import ModelRepository
from service.engine.watchdog import Watchdog
from service.exchange import Exchange
from service.listening.access import AccessControl
from service.listening.body_limits import BodyLimits
from service.telemetry import Telemetry
from service.wire.oip.outputs import OUTPUTS


@dataclass(frozen=True)
class Services:
    """Objects that every listener works with.

    Attributes:
        exchange: exchange that answers requests for segmentations.
        watchdog: watchdog of the engine's progress.
        body_limits: limits of request bodies.
        access_control: check of API keys.
        default_outputs: outputs of a request of the Open Inference Protocol that names none.
    """

    exchange: Exchange
    watchdog: Watchdog
    body_limits: BodyLimits = field(default_factory=BodyLimits)
    access_control: AccessControl = field(default_factory=AccessControl)
    default_outputs: tuple[str, ...] = OUTPUTS

    @property
    def is_ready(self) -> bool:
        """True if every model that should serve does, and the server is not draining."""
        return self.repository.is_ready and not self.gate.is_closed

    @property
    def repository(self) -> ModelRepository:
        """Repository of the models."""
        return self.exchange.repository

    @property
    def gate(self) -> AdmissionGate:
        """Admission gate that requests pass before their bodies are read."""
        return self.exchange.intake.gate

    @property
    def telemetry(self) -> Telemetry:
        """Metrics and traces."""
        return self.exchange.telemetry
