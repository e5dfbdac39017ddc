"""Admission gate, which requests pass before any work is done for them."""

from __future__ import annotations

from typing import Self

from lacuna.errors import NotReadyError, OverloadedError
from service.core.admission import (
    AdmissionPolicy,
    ClientLoad,
    Refusal,
    admit,
    admit_bytes,
    admit_timeout,
)
from service.engine.dispatcher import Dispatcher


class Reservation:
    """Context in which an admitted request counts as pending.

    Args:
        gate: Gate that admitted the request.
        client: Client of the request.
        body_bytes: Bytes of the body that are counted.
    """

    __slots__ = ("_gate", "body_bytes", "client")

    def __init__(self, gate: AdmissionGate, client: str, body_bytes: int) -> None:
        self._gate = gate
        self.client = client
        self.body_bytes = body_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._gate.release(self)

    def grow(self, body_bytes: int) -> None:
        """Count the request with this many bytes, if it is counted with fewer.

        Raises:
            OverloadedError: if the bodies of all pending requests would have too many bytes.
        """
        if body_bytes > self.body_bytes:
            self._gate.add_bytes(self, body_bytes - self.body_bytes)


class AdmissionGate:
    """Gate that counts pending requests and refuses excess load. Used on the event loop only.

    Args:
        dispatcher: Dispatcher whose queue the requests wait in.
        policy: Limits on the load.

    Attributes:
        is_closed: True if no request is admitted any more.
        pending: Number of requests that are admitted and not yet answered.
    """

    def __init__(self, dispatcher: Dispatcher, policy: AdmissionPolicy | None = None) -> None:
        self._dispatcher = dispatcher
        self._policy = policy or AdmissionPolicy()
        self.is_closed = False
        self.pending = 0
        self._pending_bytes = 0
        self._clients: dict[str, ClientLoad] = {}

    def close(self) -> None:
        """Admit no more requests. Pending requests are not affected."""
        self.is_closed = True

    def check_open(self) -> None:
        """Check that the server still begins work.

        Raises:
            NotReadyError: if the server is shutting down.
        """
        if self.is_closed:
            raise NotReadyError("the server must not be shutting down to begin work; it is")

    def check_timeout(self, timeout_s: float | None) -> None:
        """Check that the predicted wait is within the timeout of a request.

        Args:
            timeout_s: Timeout of the request, in seconds; None for none.

        Raises:
            OverloadedError: if the predicted wait is longer.
        """
        if timeout_s is None:
            return
        refusal = admit_timeout(self._dispatcher.measure_load(), timeout_s)
        if refusal is not None:
            raise _make_error(refusal)

    def reserve(self, body_bytes: int, client: str = "") -> Reservation:
        """Admit a request.

        Args:
            body_bytes: Bytes of its body, as far as they are known.
            client: Client of the request; empty if unknown, and then no share applies.

        Returns:
            Context in which the request counts as pending.

        Raises:
            OverloadedError: if the load is too high.
            NotReadyError: if the server is shutting down.
        """
        self.check_open()
        client_load = self._clients.get(client, _NO_LOAD) if client else None
        load = self._dispatcher.measure_load(self.pending, self._pending_bytes)
        refusal = admit(self._policy, load, body_bytes, client_load)
        if refusal is not None:
            raise _make_error(refusal)
        self._count(client, 1, body_bytes)
        return Reservation(self, client, body_bytes)

    def release(self, reservation: Reservation) -> None:
        """Stop counting a request as pending."""
        self._count(reservation.client, -1, -reservation.body_bytes)

    def add_bytes(self, reservation: Reservation, body_bytes: int) -> None:
        """Count more bytes for the body of a pending request.

        Raises:
            OverloadedError: if the bodies of all pending requests would have too many bytes.
        """
        if self._pending_bytes + body_bytes > self._policy.max_pending_bytes:
            others = self._pending_bytes - reservation.body_bytes
            load = self._dispatcher.measure_load(self.pending, others)
            refusal = admit_bytes(self._policy, load, reservation.body_bytes + body_bytes)
            if refusal is not None:
                raise _make_error(refusal)
        reservation.body_bytes += body_bytes
        self._count(reservation.client, 0, body_bytes)

    def _count(self, client: str, requests: int, body_bytes: int) -> None:
        self.pending += requests
        self._pending_bytes += body_bytes
        if not client:
            return
        before = self._clients.get(client, _NO_LOAD)
        after = ClientLoad(before.pending + requests, before.pending_bytes + body_bytes)
        if after.pending:
            self._clients[client] = after
        else:
            del self._clients[client]


_NO_LOAD = ClientLoad(0, 0)


def _make_error(refusal: Refusal) -> OverloadedError:
    return OverloadedError(refusal.message, refusal.reason, refusal.retry_after_s)
