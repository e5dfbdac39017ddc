"""Objects that the routes work with."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from service.engine.process_memory import ProcessMemory
from service.listening.key_files import KeyFiles
from service.listening.services import Services
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
class AppServices(Services):
    """Objects that the routes work with.

    Attributes:
        key_files: files of API keys, read anew when they change; None for none.
        operator_routes: routes for operators that the application serves.
        proxies: reverse proxies in front of the server.
        vertex_routes: paths at which Vertex AI calls the server.
        memory: memory of the process.
    """

    operator_routes: OperatorRoutes = field(default_factory=OperatorRoutes)
    key_files: KeyFiles | None = None
    proxies: ProxyPolicy = field(default_factory=ProxyPolicy)
    vertex_routes: VertexRoutes = field(default_factory=VertexRoutes)
    memory: ProcessMemory = field(default_factory=ProcessMemory)

    @property
    def quiet_paths(self) -> AbstractSet[str]:
        """Paths that are requested every few seconds, and neither traced nor logged."""
        health = self.vertex_routes.health
        return QUIET_PATHS if health is None else QUIET_PATHS | {health}

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
