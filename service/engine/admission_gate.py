"""Admission gate, which requests pass before any work is done for them, and again by their size."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from lacuna.errors import ImageTooLargeError, NotReadyError, OverloadedError
from service.core.admission import (
    AdmissionPolicy,
    Refusal,
    admit,
    admit_bytes,
    admit_timeout,
    admit_wait,
    refuse_memory,
)
from service.core.load import ClientLoad, Load, predict_ahead
from service.engine.dispatcher import Dispatcher
from service.engine.memory import MemoryBudget
from service.engine.reservation import Reservation


class AdmissionGate:
    """Gate that counts pending requests and refuses excess load. Used on the event loop only.

    Args:
        dispatcher: Dispatcher whose queue the requests wait in.
        policy: Limits on the load.
        memory: Memory that requests may use; None for the machine's.

    Attributes:
        is_closed: True if no request is admitted any more.
        pending: Number of requests that are admitted and not yet answered.
        pending_bytes: Bytes of their bodies that have come.
        memory: Memory that requests may use.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        policy: AdmissionPolicy | None = None,
        memory: MemoryBudget | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._policy = self._limits = policy or AdmissionPolicy()
        self.memory = memory or MemoryBudget(max_share=self._policy.max_share)
        self.is_closed = False
        self.pending = 0
        self.pending_bytes = 0
        self._clients: dict[str, ClientLoad] = {}
        self._announced_s: dict[str, float] = {}
        self._measure_memory()

    @property
    def is_idle(self) -> bool:
        """True if no request is pending."""
        return self.pending == 0

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

    def check_wait(self, client: str, timeout_s: float | None) -> None:
        """Check that the predicted wait of a request is short enough, and within its timeout.

        Args:
            client: Client of the request; empty if unknown.
            timeout_s: Timeout of the request, in seconds; None for none.

        Raises:
            OverloadedError: if the predicted wait is longer.
        """
        if timeout_s is None and self._is_wait_short():
            return
        load, client_load = self._measure(client)
        refusal = admit_wait(self._policy, load, client_load)
        if refusal is None and timeout_s is not None:
            refusal = admit_timeout(load, timeout_s)
        if refusal is not None:
            raise _make_error(refusal)

    def reserve(self, body_bytes: int, client: str = "", *, declared_bytes: int = 0) -> Reservation:
        """Admit a request.

        Args:
            body_bytes: Bytes of its body that have come.
            client: Client of the request; empty if unknown, and then no share applies.
            declared_bytes: Bytes that the body will have, as far as they are known. The request is
                refused if there is no room for them now, but they do not count before they come.
                Otherwise few requests that send nothing could keep everybody out.

        Returns:
            Context in which the request counts as pending.

        Raises:
            OverloadedError: if the load is too high.
            NotReadyError: if the server is shutting down.
        """
        self.check_open()
        if not self.pending:
            self._measure_memory()
        if not self._has_room(max(body_bytes, declared_bytes)):
            load, client_load = self._measure(client)
            refusal = admit(self._limits, load, max(body_bytes, declared_bytes), client_load)
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
            OverloadedError: if the bodies of all pending requests, or those of the client, would
                have too many bytes.
        """
        all_bytes = reservation.body_bytes + body_bytes
        if not self._has_room_for_bytes(body_bytes):
            # Counted without this request, because a single body is never refused here.
            load, client_load = self._measure(reservation.client, reservation.body_bytes)
            refusal = admit_bytes(self._limits, load, all_bytes, client_load)
            if refusal is not None:
                raise _make_error(refusal)
        reservation.body_bytes = all_bytes
        self._count(reservation.client, 0, body_bytes)

    def count_announced(self, client: str, work_s: float) -> None:
        """Count work that is not in the queue yet; negative to stop counting it."""
        left_s = self._announced_s.get(client, 0.0) + work_s
        if left_s > _NO_WORK_S:
            self._announced_s[client] = left_s
        else:
            self._announced_s.pop(client, None)

    async def hold(self, reservation: Reservation, memory_bytes: int) -> None:
        """Hold more memory for a request; wait until it is free.

        Raises:
            ImageTooLargeError: if the server never has so much.
            OverloadedError: if it does not become free in time.
        """
        most_bytes = self.memory.pool.total_bytes
        if reservation.held_bytes + memory_bytes > most_bytes:
            raise ImageTooLargeError(
                f"images and answer of a request must need at most {most_bytes} bytes of "
                f"memory; they need {reservation.held_bytes + memory_bytes}"
            )
        client, own_bytes = reservation.client, reservation.held_bytes
        pool = self.memory.choose_pool(memory_bytes, client)
        claim = pool.claim(client, memory_bytes, own_bytes)
        reservation.add_claim(claim)
        if claim.is_granted:
            return
        granted = asyncio.Event()
        claim.on_grant = granted.set
        try:
            async with asyncio.timeout(self._policy.max_wait_s):
                await granted.wait()
        except TimeoutError:
            load, _ = self._measure(reservation.client)
            raise _make_error(refuse_memory(self._policy, load, memory_bytes)) from None

    def _has_room(self, body_bytes: int) -> bool:
        """Return True if all load together, this body included, is within one client's share.

        Then nothing is refused, and the load of each client need not be measured.
        """
        share = self._limits.max_share
        return (
            self.pending + 1 <= self._limits.max_pending * share
            and self._has_room_for_bytes(body_bytes)
            and self._is_wait_short()
        )

    def _has_room_for_bytes(self, body_bytes: int) -> bool:
        most_bytes = self._limits.max_pending_bytes * self._limits.max_share
        return self.pending_bytes + body_bytes <= most_bytes

    def _is_wait_short(self) -> bool:
        """Return True if all work could wait within one client's share of the wait."""
        waiting_s = self._dispatcher.sum_waiting_s() + sum(self._announced_s.values())
        running = self._dispatcher.measure_running()
        most_s = self._policy.max_wait_s * self._policy.max_share
        return waiting_s + running.rest_s <= most_s * running.workers

    def _measure_memory(self) -> None:
        self.memory.measure()
        most_bytes = min(self._policy.max_pending_bytes, self.memory.body_bytes)
        if most_bytes != self._limits.max_pending_bytes:
            self._limits = replace(self._policy, max_pending_bytes=most_bytes)

    def _measure(self, client: str, but_bytes: int = 0) -> tuple[Load, ClientLoad | None]:
        """Measure the load, and the part of it that a client causes.

        Args:
            client: Client; empty if unknown.
            but_bytes: Bytes of the client's bodies that do not count.
        """
        waiting_s = self._dispatcher.read_waiting()
        for name, work_s in self._announced_s.items():
            waiting_s[name] = waiting_s.get(name, 0.0) + work_s
        running = self._dispatcher.measure_running()
        load = Load(
            sum(waiting_s.values()),
            running.rest_s,
            running.workers,
            self.pending,
            self.pending_bytes - but_bytes,
            running.idle,
            predict_ahead(waiting_s, client),
        )
        if not client:
            return load, None
        pending, pending_bytes, _ = self._clients.get(client, _NO_LOAD)
        own = ClientLoad(pending, pending_bytes - but_bytes, waiting_s.get(client, 0.0))
        return load, own

    def _count(self, client: str, requests: int, body_bytes: int) -> None:
        self.pending += requests
        self.pending_bytes += body_bytes
        if not client:
            return
        before = self._clients.get(client, _NO_LOAD)
        after = ClientLoad(before.pending + requests, before.pending_bytes + body_bytes)
        if after.pending:
            self._clients[client] = after
        else:
            del self._clients[client]


_NO_LOAD = ClientLoad(0, 0)

_NO_WORK_S = 1e-9
"""Sums of floating-point numbers do not come back to 0 exactly."""


def _make_error(refusal: Refusal) -> OverloadedError:
    return OverloadedError(refusal.message, refusal.reason, refusal.retry_after_s)
