"""One call, from its metadata to its trailers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import unquote

import grpc

from lacuna.errors import EmptyBodyError, MalformedRequestError, NotReadyError, SlowBodyError
from service.engine.reservation import Reservation
from service.listening.access import name_address, read_bearer
from service.listening.body_limits import BodyLimits
from service.listening.forwarding import TrustedProxies
from service.listening.keys import Principal
from service.listening.request_ids import choose_id
from service.rpc.drain import Drain
from service.wire.dialect import Body, RequestHead
from service.wire.messages import check_length

REQUEST_ID = "x-request-id"

DRAIN_S = 1.0
"""Seconds in which the message of a call must arrive once the server drains."""

NO_MESSAGE = "message too large, or client gone"
"""Outcome of a call that gRPC has cancelled before its message was there. gRPC does not say why."""

_CANCEL_S = 0.05

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
        message = await self._read(None, drain_s=0)
        return None if message is None or message is grpc.aio.EOF else message

    async def read_only(self, accept: Callable[[bytes], object], message_s: float) -> bytes:
        """Read the message of a call that has one.

        Args:
            accept: function that checks or counts the message. It is called before the end of the
                call, which may be long in coming; if it raises an error, nothing waits for the end.
            message_s: seconds in which the message must arrive.

        Raises:
            EmptyBodyError: if it has none.
            MalformedRequestError: if it has more.
            SlowBodyError: if message or end do not arrive in time.
            NotReadyError: if they have not arrived when the server drains.
        """
        content = await self._read_first(message_s)
        accept(content)
        end = await self._read_soon("the end of a call", self._limits.idle_s)
        if end is not grpc.aio.EOF:
            raise MalformedRequestError("a call must have one message; it has more")
        return content

    async def _read_first(self, message_s: float) -> bytes:
        try:
            message = await self._read_soon("a message", message_s)
            if message is grpc.aio.EOF:
                # A message over gRPC's limit, or half of one, looks the same. Then gRPC cancels the
                # call a moment later.
                await asyncio.sleep(_CANCEL_S)
                raise EmptyBodyError("a call must have one message; it has none")
        except asyncio.CancelledError:
            self.add_log_fields(outcome=NO_MESSAGE)
            raise
        content: bytes = message
        return content

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

    async def _read_soon(self, what: str, seconds: float) -> Any:
        message = await self._read(seconds, drain_s=DRAIN_S)
        if message is not None:
            return message
        if self._drain.has_begun:
            raise NotReadyError(f"{what} must arrive before the server shuts down; it has not")
        raise SlowBodyError(f"{what} must arrive within {seconds:g} s; it has not")

    async def _read(self, seconds: float | None, drain_s: float) -> Any:
        """Return the next message, or EOF; None if it does not arrive in time.

        Args:
            seconds: most seconds to wait; None for ever.
            drain_s: most seconds to wait once the server drains.
        """
        reading = asyncio.get_running_loop().create_task(self.context.read())
        # A read that is cancelled would leak a message that has just come. It ends with the call,
        # by an error that tells nothing.
        reading.add_done_callback(_take_error)
        is_done = await self._drain.wait_for(reading, seconds, drain_s)
        return reading.result() if is_done else None

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


def _take_error(reading: asyncio.Future[Any]) -> None:
    """Take the error of a read that nobody waits for. asyncio would log it."""
    if not reading.cancelled():
        reading.exception()
