"""The objects that the application is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from service.engine.admission_gate import AdmissionGate
from service.engine.lifecycle.repository import ModelRepository
from service.engine.watchdog import Watchdog
from service.exchange import Exchange
from service.telemetry import Telemetry
from service.web.access import Access
from service.web.body import BodyLimits
from service.web.request import HttpRequest
from service.wire.dialect import Asked, Dialect, ModelTarget


@dataclass(frozen=True)
class Surface:
    """The paths for operators that are there.

    Attributes:
        docs: `/docs` and `/openapi.json`.
        metrics: `/metrics`, here and not on a port of its own.
    """

    docs: bool = True
    metrics: bool = True


@dataclass(frozen=True)
class AppServices:
    """The objects that routes work with.

    Attributes:
        exchange: that answers requests.
        watchdog: that tells whether the engine makes progress.
        body_limits: how much of a body is read.
        access: who may ask for what.
        surface: the paths for operators that are there.
    """

    exchange: Exchange
    watchdog: Watchdog
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
        return self.exchange.repository

    @property
    def gate(self) -> AdmissionGate:
        """That requests pass before their bodies are read."""
        return self.exchange.gate

    @property
    def telemetry(self) -> Telemetry:
        """That counts what happens."""
        return self.exchange.telemetry

    async def answer(
        self, request: Request, dialect: Dialect[Asked], target: ModelTarget | None = None
    ) -> Response:
        """Answer a request for segmentations.

        Args:
            request: whose body was not read yet.
            dialect: of its protocol.
            target: the model that the path names; None where the body names it.

        Raises:
            LacunaError: if there is too much to do, or the request is at fault, or the model.
        """
        incoming = HttpRequest(request, self.body_limits, target)
        reply = await self.exchange.answer(incoming, dialect)
        return Response(reply.content, headers=dict(reply.headers))
