"""Load generator: a closed or an open loop over persistent connections.

Generator and server share their cores, so a request must cost little here. Requests are encoded
beforehand, each connection has one task for the whole run, and responses are not parsed further
than the results need.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from service.bench.connection import ClientConnection, ConnectionLostError, RawResponse
from service.bench.load_profile import LoadProfile, draw_arrivals
from service.bench.prepared_request import PreparedRequest
from service.bench.results import REFUSALS, ResultLog
from service.bench.schedule import Schedule, ScheduledRequest

T = TypeVar("T")

_RECONNECT_S = 0.1
_PAUSE_S = 0.1  # after a refusal without Retry-After
_TIMER_S = 0.002  # by which a timer may be early
_RETRY_AFTER = re.compile(rb"\r\nretry-after:[ \t]*(\d{1,6})")


@dataclass(frozen=True, eq=False)
class Run:
    """Finished run.

    Attributes:
        log: results of its requests.
        begins_s: time at which the measured window began, on the clock of the log.
        ends_s: time at which it ended.
        cpu_s: processor time of this process during the run.
        exchanges: number of requests in that time, those of the warm-up included.
    """

    log: ResultLog
    begins_s: float
    ends_s: float
    cpu_s: float
    exchanges: int


async def run_load(
    server: httpx2.URL, requests: Sequence[PreparedRequest], profile: LoadProfile
) -> Run:
    """Load a server and record the results.

    A run ends at most `timeout_s` after its window for the requests of the window, and at most as
    long again for those sent meanwhile. Lost connections are opened again.

    Args:
        server: URL of the server.
        requests: sent in turn, again and again.
        profile: how to load the server.
    """
    return await _LoadGenerator(server, requests, profile).run()


def run_in_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in an event loop of its own, uvloop's where it is installed.

    Args:
        work: returns the coroutine.
    """
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ModuleNotFoundError):
        from uvloop import new_event_loop as make_loop  # noqa: PLC0415 (an extra)
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(work())


class _LoadGenerator:
    """Tasks of a run: one for each connection, one for the arrivals, one for the end.

    A connection's task that has no request to send waits in `_idle` until one arrives.
    """

    def __init__(
        self, server: httpx2.URL, requests: Sequence[PreparedRequest], profile: LoadProfile
    ) -> None:
        self._server, self._requests, self._profile = server, requests, profile
        self._clock = time.perf_counter
        self._starts_s = self._clock()
        self._schedule = Schedule(profile, len(requests), self._starts_s)
        self._log = ResultLog(requests)
        self._idle: deque[asyncio.Future[None]] = deque()
        self._over = asyncio.Event()

    async def run(self) -> Run:
        """Run to the end."""
        cpu_s = time.process_time()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._keep_connected()) for _ in range(self._profile.connections)
            ]
            tasks += [group.create_task(self._arrive()), group.create_task(self._end_window())]
            await self._over.wait()
            cpu_s = time.process_time() - cpu_s
            ends_s = min(self._schedule.ends_s, self._clock())
            for task in tasks:
                task.cancel()
        return Run(self._log, self._schedule.begins_s, ends_s, cpu_s, self._schedule.settled)

    async def _keep_connected(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._profile.timeout_s):
                    connection = await ClientConnection.open(self._server)
            except OSError:  # a timeout is one
                scheduled = self._schedule.take(self._clock())
                if scheduled is not None:
                    self._fail(scheduled, "unreachable")
                await asyncio.sleep(_RECONNECT_S)
                continue
            try:
                await self._use(connection)
            finally:
                await connection.close()
            if not connection.responses:
                # A server that accepts and closes at once would be asked in a busy loop.
                await asyncio.sleep(_RECONNECT_S)

    async def _use(self, connection: ClientConnection) -> None:
        while connection.is_open:
            scheduled = self._schedule.take(self._clock())
            if scheduled is None:
                waiting = asyncio.get_running_loop().create_future()
                self._idle.append(waiting)
                await waiting
                continue
            response = await self._send(connection, scheduled)
            if response and response.status in REFUSALS and self._profile.rate_per_s is None:
                await asyncio.sleep(self._choose_pause(response.head))

    async def _send(
        self, connection: ClientConnection, scheduled: ScheduledRequest
    ) -> RawResponse | None:
        left_s = scheduled.due_s + self._profile.timeout_s - self._clock()
        if left_s <= 0:
            self._fail(scheduled, "timeout")
            return None
        try:
            async with asyncio.timeout(left_s):
                response = await connection.exchange(self._requests[scheduled.number].content)
        except TimeoutError:
            self._fail(scheduled, "timeout")
            return None
        except ConnectionLostError:
            self._fail(scheduled, "connection lost")
            return None
        self._log.record_response(scheduled, self._clock(), response)
        self._settle(scheduled)
        return response

    async def _arrive(self) -> None:
        if self._profile.rate_per_s is None:
            return
        for after_s in draw_arrivals(self._profile.rate_per_s, self._profile.seed):
            due_s = self._starts_s + after_s
            await asyncio.sleep(max(due_s - self._clock(), 0))
            if not self._schedule.accepts:
                return
            # A timer may be early; its request is due now.
            self._schedule.arrive(min(due_s, self._clock()))
            if self._idle:
                self._idle.popleft().set_result(None)

    async def _end_window(self) -> None:
        if self._schedule.ends_s == math.inf:
            return
        await asyncio.sleep(self._schedule.ends_s - self._clock() + _TIMER_S)
        self._schedule.advance(self._clock())
        self._note_end()

    def _fail(self, scheduled: ScheduledRequest, reason: str) -> None:
        self._log.record_failure(scheduled, reason)
        self._settle(scheduled)

    def _settle(self, scheduled: ScheduledRequest) -> None:
        self._schedule.settle(scheduled, self._clock())
        self._note_end()

    def _note_end(self) -> None:
        if self._schedule.is_over:
            self._over.set()

    def _choose_pause(self, head: bytes) -> float:
        found = _RETRY_AFTER.search(head)
        return min(float(found[1]) if found else _PAUSE_S, self._profile.timeout_s)
