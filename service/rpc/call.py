"""One call, from its metadata to its trailers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import unquote

import grpc

from service.engine.reservation import Reservation
from service.listening.access import name_address, read_bearer
from service.listening.body_limits import BodyLimits
from service.listening.forwarding import TrustedProxies
from service.listening.keys import Principal
from service.listening.request_ids import choose_id
from service.rpc.drain import Drain
from service.rpc.reading import Reading, begin_read
from service.wire.dialect import Body, RequestHead
from service.wire.messages import check_length

REQUEST_ID = "x-request-id"

NO_MESSAGE = "message too large, or client gone"
"""Outcome of a call that gRPC has cancelled before its message was there. gRPC does not say why."""

_FORWARDED = "x-forwarded-for"

_NO_HEADERS: Mapping[str, str] = {}


class Call:
    """Call of a method, whose messages were not read yet. It is a request for the exchange.

    Args:
        path: path of the method, such as `/inference.GRPCInferenceService/ModelInfer`.
        context: context of the call, of gRPC's.
        limits: limits of the messages.
        drain: drain of the server.
        proxies: proxies that are trusted to forward the address of the client.

    Attributes:
        path: path of the method.
        context: context of the call.
        metadata: metadata of the call, names in lower case; of repeated ones the last.
        request_id: id of the request.
        address: address of the client; empty for none.
        principal: holder of the call's key, once it was checked; None for none.
        log_fields: further fields of the call's log line.
        trailers: trailing metadata of the answer.
    """

    declared_bytes = 0

    __slots__ = (
        "_drain",
        "_limits",
        "address",
        "context",
        "log_fields",
        "metadata",
        "path",
        "principal",
        "request_id",
        "trailers",
    )

    def __init__(
        self,
        path: str,
        context: grpc.aio.ServicerContext,
        limits: BodyLimits,
        drain: Drain,
        proxies: TrustedProxies,
    ) -> None:
        self.path = path
        self.context = context
        metadata = context.invocation_metadata()
        self.metadata: dict[str, str] = dict(metadata)
        self.request_id = choose_id(self.metadata.get(REQUEST_ID))
        self.address = read_peer(context.peer())
        if _FORWARDED in self.metadata:
            forwarded = [value for name, value in metadata if name == _FORWARDED]
            self.address = proxies.find_client(self.address, forwarded)
        self.principal: Principal | None = None
        self.log_fields: dict[str, Any] = {}
        self.trailers: dict[str, str] = {REQUEST_ID: self.request_id}
        self._limits = limits
        self._drain = drain

    @property
    def key(self) -> bytes | None:
        """Key of the call; None if it has none."""
        key = self.metadata.get("x-api-key")
        if key is not None:
            return key.strip().encode()
        return read_bearer(self.metadata.get("authorization", "").encode())

    @property
    def client(self) -> str:
        """Name of the client: that of its key, or its address if it has no key."""
        return name_address(self.address) if self.principal is None else self.principal.name

    @property
    def head(self) -> RequestHead:
        """Rest of the deadline; the message says all else."""
        return RequestHead(_NO_HEADERS, _NO_HEADERS, timeout_s=self.context.time_remaining())

    async def read_next(self) -> bytes | None:
        """Read the next message of a stream, however long it takes.

        Returns:
            The message; None if there is none left, or the server drains.
        """
        reading = begin_read(self.context.read())
        if not await self._drain.wait_for(reading, None, drain_s=0):
            return None
        message = reading.result()
        return None if message is grpc.aio.EOF else message

    async def read_only(self, accept: Callable[[bytes], object], message_s: float) -> bytes:
        """Read the message of a call that has one.

        Args:
            accept: function that checks or counts the message. It is called before the end of the
                call, which may be long in coming; if it raises an error, nothing waits for the end.
            message_s: seconds in which the message must arrive.

        Raises:
            RequestError: as `Reading.finish`.
            NotReadyError: as there.
        """
        reading = Reading(self.context, self._drain, accept, message_s, self._limits.idle_s)
        try:
            return await reading.finish()
        except asyncio.CancelledError:
            if not reading.has_message:
                self.add_log_fields(outcome=NO_MESSAGE)
            raise

    async def read_short(self, kind: str) -> bytes:
        """Read the message of a call that holds no images.

        Args:
            kind: name of the message, for errors.

        Raises:
            BodyTooLargeError: if it is not small.
            RequestError: as `read_only`.
        """
        return await self.read_only(partial(check_length, kind), self._limits.idle_s)

    async def read_body(self, reservation: Reservation) -> Body:
        """Read the message, and count its bytes.

        gRPC does not tell how much of a message has come, so a pause cannot be seen.

        Args:
            reservation: reservation of the call.

        Raises:
            OverloadedError: if there is no room for them.
            RequestError: as `read_only`.
        """
        return await self.read_only(
            lambda message: reservation.grow(len(message)), self._limits.body_s
        )

    async def wait_for_disconnect(self) -> None:
        """Wait for ever, because gRPC cancels the task of a call whose client has gone."""
        await asyncio.Event().wait()

    def add_log_fields(self, **fields: Any) -> None:
        """Add fields to the call's log line. They must hold neither pixels nor secrets."""
        self.log_fields.update(fields)


@lru_cache(maxsize=4096)
def read_peer(peer: str) -> str:
    """Return the address in gRPC's name of a peer, such as `ipv6:%5B::1%5D:50000`; "" for none."""
    family, _, rest = peer.partition(":")
    host = rest.rpartition(":")[0]
    if family == "ipv6":
        return unquote(host).strip("[]")
    return host if family == "ipv4" else ""
