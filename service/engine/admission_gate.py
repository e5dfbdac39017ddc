"""The gate that requests pass before anything is done for them."""

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
    """What a request has been given of the server, for as long as the context lasts.

    Args:
        gate: that gave it.
        client: whose request it is.
        body_bytes: that it counts with.
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
        """Count the request with so many bytes, if it has not announced as many.

        Raises:
            OverloadedError: if all bodies together are too much then.
        """
        if body_bytes > self.body_bytes:
            self._gate.add_bytes(self, body_bytes - self.body_bytes)


class AdmissionGate:
    """Counts the requests that were taken in, and refuses what is too much. On the event loop only.

    Args:
        dispatcher: whose queue they will wait in.
        policy: what the server takes upon itself.

    Attributes:
        is_closed: whether nothing more is taken in.
        pending: requests taken in and not yet answered.
    """

    def __init__(self, dispatcher: Dispatcher, policy: AdmissionPolicy | None = None) -> None:
        self._dispatcher = dispatcher
        self._policy = policy or AdmissionPolicy()
        self.is_closed = False
        self.pending = 0
        self._pending_bytes = 0
        self._clients: dict[str, ClientLoad] = {}

    def close(self) -> None:
        """Take nothing more in. What was taken in is not touched."""
        self.is_closed = True

    def check_open(self) -> None:
        """See that the server still begins something.

        Raises:
            NotReadyError: if it is going away.
        """
        if self.is_closed:
            raise NotReadyError("the server must not be shutting down; it is")

    def check_timeout(self, timeout_s: float | None) -> None:
        """See that a request's caller will wait until its work can begin.

        Args:
            timeout_s: how long the caller will wait, in seconds; None if for ever.

        Raises:
            OverloadedError: if there is more to do before than can be done in that time.
        """
        if timeout_s is None:
            return
        refusal = admit_timeout(self._dispatcher.measure_load(), timeout_s)
        if refusal is not None:
            raise _make_error(refusal)

    def reserve(self, body_bytes: int, client: str = "") -> Reservation:
        """Take a request in.

        Args:
            body_bytes: that its body has, as far as is known.
            client: whose it is; empty if that is not known, and then it has no share to keep to.

        Returns:
            A context, at whose end the request counts no more.

        Raises:
            OverloadedError: if there is too much to do already.
            NotReadyError: if the server is going away.
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
        """Count a request no more."""
        self._count(reservation.client, -1, -reservation.body_bytes)

    def add_bytes(self, reservation: Reservation, body_bytes: int) -> None:
        """Let a request that was taken in have more bytes.

        Raises:
            OverloadedError: if all bodies together are too much then.
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
