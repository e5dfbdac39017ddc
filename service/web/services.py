"""Objects that the routes work with."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from service.engine.admission_gate import AdmissionGate
from service.engine.lifecycle.repository import ModelRepository
from service.engine.watchdog import Watchdog
from service.exchange import Exchange
from service.telemetry import Telemetry
from service.web.access import AccessControl
from service.web.body import BodyLimits
from service.web.key_files import KeyFiles
from service.web.proxies import ProxyPolicy
from service.web.request import HttpRequest
from service.web.request_log import QUIET_PATHS
from service.web.responses import make_response
from service.wire.dialect import Dialect, ModelTarget, ParsedRequest


@dataclass(frozen=True)
class OperatorRoutes:
    """Routes for operators that the application serves.

    Attributes:
        docs: True to serve `/docs` and `/openapi.json`.
        metrics: True to serve `/metrics` here, False if it has a separate port.
    """

    docs: bool = True
    metrics: bool = True


@dataclass(frozen=True)
class VertexRoutes:
    """Paths at which Vertex AI calls the server.

    Attributes:
        health: path of the health check; None for none.
        predict: path of requests; None for none.
    """

    health: str | None = None
    predict: str | None = None


@dataclass(frozen=True)
class AppServices:
    """Objects that the routes work with.

    Attributes:
        exchange: exchange that answers requests for segmentations.
        watchdog: watchdog of the engine's progress.
        body_limits: limits of request bodies.
        access_control: check of API keys.
        key_files: files of these keys, read anew when they change; None for none.
        operator_routes: routes for operators that the application serves.
        proxies: reverse proxies in front of the server.
        vertex_routes: paths at which Vertex AI calls the server.
    """

    exchange: Exchange
    watchdog: Watchdog
    body_limits: BodyLimits = field(default_factory=BodyLimits)
    access_control: AccessControl = field(default_factory=AccessControl)
    operator_routes: OperatorRoutes = field(default_factory=OperatorRoutes)
    key_files: KeyFiles | None = None
    proxies: ProxyPolicy = field(default_factory=ProxyPolicy)
    vertex_routes: VertexRoutes = field(default_factory=VertexRoutes)

    @property
    def is_ready(self) -> bool:
        """True if every model that should serve does, and the server is not draining."""
        return self.repository.is_ready and not self.gate.is_closed

    @property
    def quiet_paths(self) -> AbstractSet[str]:
        """Paths that are requested every few seconds, and neither traced nor logged."""
        health = self.vertex_routes.health
        return QUIET_PATHS if health is None else QUIET_PATHS | {health}

    @property
    def repository(self) -> ModelRepository:
        """Repository of the models."""
        return self.exchange.repository

    @property
    def gate(self) -> AdmissionGate:
        """Admission gate that requests pass before their bodies are read."""
        return self.exchange.gate

    @property
    def telemetry(self) -> Telemetry:
        """Metrics and traces."""
        return self.exchange.telemetry

    async def answer(
        self, request: Request, dialect: Dialect[ParsedRequest], target: ModelTarget | None = None
    ) -> Response:
        """Answer a request for segmentations.

        Args:
            request: request whose body was not read yet.
            dialect: dialect of its protocol.
            target: model that the path names; None if the body names it.

        Raises:
            LacunaError: if the request is refused or wrong, or the model fails.
        """
        incoming = HttpRequest(request, self.body_limits, target)
        reply = await self.exchange.answer(incoming, dialect)
        return make_response(reply)
