"""Intake: how every request comes in, whatever its protocol and listener.

It is admitted before its body is read, and the body is decompressed before anything reads it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from lacuna.errors import BodyTooLargeError
from service.disconnects import cancel_on_disconnect
from service.engine.admission_gate import AdmissionGate
from service.engine.reservation import Reservation
from service.engine.threads import SharedThreads
from service.wire.coding import decompress, estimate_decompressed_bytes, read_coding
from service.wire.dialect import Body, RequestHead

Value = TypeVar("Value")


class IncomingRequest(Protocol):
    """Request as its listener passes it on, before its body is read."""

    @property
    def head(self) -> RequestHead:
        """Headers, query and target of the request."""
        ...

    @property
    def client(self) -> str:
        """Name of the client, by which its share of the load is counted."""
        ...

    @property
    def declared_bytes(self) -> int:
        """Declared length of the body, in bytes; 0 if it is not declared."""
        ...

    async def read_body(self, reservation: Reservation) -> Body:
        """Read the whole body within the listener's limits.

        Args:
            reservation: Reservation of the request, which grows with a body of undeclared length.
        """
        ...

    async def wait_for_disconnect(self) -> None:
        """Return when the client has disconnected."""
        ...

    def add_log_fields(self, **fields: Any) -> None:
        """Add fields to the log line of the request. They must not contain pixels or secrets."""
        ...


@dataclass(frozen=True)
class Intake:
    """Intake of requests.

    Attributes:
        gate: Admission gate, which requests pass before their bodies are read.
        body_bytes: Largest body, as sent and after decompression, in bytes.
        threads: Threads for all work of a request beside the model's.
    """

    gate: AdmissionGate
    body_bytes: int
    threads: SharedThreads

    async def admit(
        self,
        request: IncomingRequest,
        work: Callable[[Body, Reservation], Awaitable[Value]],
    ) -> Value:
        """Admit a request, read its body, decompress it, and work on it.

        The work is cancelled when the client disconnects.

        Args:
            request: Request, before its body is read.
            work: Work on the decompressed body, with the reservation of the request.

        Returns:
            The result of the work.

        Raises:
            OverloadedError: if the load is too high.
            NotReadyError: if the server is shutting down.
            SlowBodyError: if the body does not arrive in time.
            RequestError: if the body is too large, or cannot be decompressed.
            ClientDisconnectedError: if the client has disconnected.
        """
        coding = read_coding(request.head.headers.get("content-encoding"))
        # Before the load is looked at: coming again does not help a body that is too large.
        if request.declared_bytes > self.body_bytes:
            raise BodyTooLargeError(
                f"the body must have at most {self.body_bytes} bytes; "
                f"{request.declared_bytes} bytes are declared"
            )
        with self.gate.reserve(
            0, request.client, declared_bytes=request.declared_bytes
        ) as reservation:
            body = await request.read_body(reservation)
            request.add_log_fields(received_bytes=len(body))
            async with cancel_on_disconnect(request.wait_for_disconnect):
                if coding is not None:
                    body = await self._decompress(body, coding, reservation)
                return await work(body, reservation)

    async def _decompress(self, body: Body, coding: str, reservation: Reservation) -> Body:
        await reservation.hold(estimate_decompressed_bytes(len(body), self.body_bytes))
        content = await self.threads.run(
            reservation.client, lambda: decompress(body, coding, self.body_bytes)
        )
        # From here on, the decompressed body takes the memory.
        reservation.grow(len(content))
        reservation.shrink(0)
        return content
