"""A request that came by no protocol of the network, for the exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from service.engine.reservation import Reservation
from service.wire.dialect import Body, ModelTarget, RequestHead


class DirectRequest:
    """Request with its body in memory, and a client that waits for the answer."""

    client = "somebody"

    def __init__(
        self,
        body: Body,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        target: ModelTarget | None = None,
    ) -> None:
        self.head = RequestHead(headers or {}, query or {}, target)
        self.declared_bytes = len(body)
        self.fields: dict[str, Any] = {}
        self._body = body

    async def read_body(self, reservation: Reservation) -> Body:
        return self._body

    async def wait_for_disconnect(self) -> None:
        await asyncio.Event().wait()

    def add_log_fields(self, **fields: Any) -> None:
        self.fields |= fields
