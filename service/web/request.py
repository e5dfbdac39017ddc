"""A request that came over HTTP, as the exchange takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from service.engine.admission_gate import Reservation
from service.web.access import name_client
from service.web.body import BodyLimits, read_body, read_declared_bytes
from service.web.request_log import note
from service.wire.dialect import Body, ModelTarget, RequestHead


class HttpRequest:
    """Request over HTTP, its body not read yet.

    Args:
        request: of the framework.
        limits: of the body.
        target: the model that the path names; None where the body names it.

    Attributes:
        head: all of it but the body.
    """

    __slots__ = ("_limits", "_receive", "_scope", "head")

    def __init__(
        self, request: Request, limits: BodyLimits, target: ModelTarget | None = None
    ) -> None:
        query: Mapping[str, str] = request.query_params if request.scope["query_string"] else {}
        self.head = RequestHead(request.headers, query, target)
        self._scope = request.scope
        self._receive = request.receive
        self._limits = limits

    @property
    def client(self) -> str:
        """Name of the client: its key's, or its address where it has no key."""
        return name_client(self._scope)

    @property
    def declared_bytes(self) -> int:
        """Bytes that it announces for its body; 0 if it announces none."""
        return read_declared_bytes(self.head.headers)

    async def read_body(self, reservation: Reservation) -> Body:
        """Read the whole body; see `service.web.body.read_body`."""
        return await read_body(self._receive, self._limits, self.declared_bytes, reservation)

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone. To be called once the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def note(self, **facts: Any) -> None:
        """Add facts to the line that will be logged."""
        note(self._scope, **facts)
