"""Loading a server: a closed or an open loop over persistent connections.

The generator shares its cores with the server it measures, so a request costs no task and no
future: a connection's answer is written down and its next request sent in the same callback.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import re
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from service.bench.arrivals import draw_arrivals
from service.bench.connection import Connection
from service.bench.ledger import REFUSALS, Errand, Ledger
from service.bench.plan import Plan
from service.bench.question import Address, Question

T = TypeVar("T")

_REOPEN_S = 0.1
_PAUSE_S = 0.1  # after a refusal that does not say when to come again
_RETRY_AFTER = re.compile(rb"\r\nretry-after:[ \t]*(\d{1,6})")


@dataclass(frozen=True, eq=False)
class Run:
    """A run that is over.

    Attributes:
        ledger: what came of its requests.
        begins_s: when the window that is measured began, on the ledger's clock.
        ends_s: when it ended.
        cpu_s: processor time that this process took from beginning to end.
        exchanges: how many requests that was for, the warm-up's included.
    """

    ledger: Ledger
    begins_s: float
    ends_s: float
    cpu_s: float
    exchanges: int


async def run_load(address: Address, questions: Sequence[Question], plan: Plan) -> Run:
    """Load a server and write down what came of it.

    It ends: at the latest `timeout_s` after the end of the window for what began in it, and another
    one for what was sent since. Connections that are lost are opened again.

    Args:
        address: of the server.
        questions: asked in turn, again and again.
        plan: how.
    """
    return await _Drive(address, questions, plan).run()


def run_in_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to its end, on uvloop where it is installed.

    Args:
        work: makes the coroutine.
    """
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ModuleNotFoundError):
        from uvloop import new_event_loop as make_loop  # noqa: PLC0415 (an extra)
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(work())


class _Drive:
    """The state of a run. It listens to its connections.

    An errand is due, then out on a connection, then settled. One that counts is owed from when it
    is due until it is settled. Nothing new is sent once the window is over and nothing is owed; the
    run is over when nothing is out any more.
    """

    def __init__(self, address: Address, questions: Sequence[Question], plan: Plan) -> None:
        self._address, self._questions, self._plan = address, questions, plan
        self._ledger = Ledger(questions)
        self._loop = asyncio.get_running_loop()
        self._clock = time.perf_counter
        self._turns = itertools.cycle(range(len(questions)))
        self._arrivals = plan.rate_per_s and draw_arrivals(plan.rate_per_s, plan.seed)
        self._due: deque[Errand] = deque()
        self._out: dict[Connection, Errand] = {}
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._sends = True
        self._owed = self._counted = self._exchanges = 0
        self._over = self._loop.create_future()
        self._all_lost = asyncio.Event()
        self._starts_s = self._begins_s = self._ends_s = 0.0

    async def run(self) -> Run:
        """Run to the end."""
        cpu_s = time.process_time()
        self._starts_s = self._clock()
        self._begins_s = self._starts_s + self._plan.warmup_s
        length_s = math.inf if self._plan.duration_s is None else self._plan.duration_s
        self._ends_s = self._begins_s + length_s
        for _ in range(self._plan.connections):
            self._open()
        if self._arrivals:
            self._arrive_next()
        self._sweep()
        try:
            await self._over
            cpu_s = time.process_time() - cpu_s
            ends_s = min(self._ends_s, self._clock())
            return Run(self._ledger, self._begins_s, ends_s, cpu_s, self._exchanges)
        finally:
            await self._close()

    def on_open(self, connection: Connection) -> None:
        """Put a new connection to work."""
        self._connections.add(connection)
        self._all_lost.clear()
        if self._over.done():
            connection.abort()
            return
        self._feed(connection)

    def on_answer(self, connection: Connection, status: int, head: bytes, body: bytes) -> None:
        """Write an answer down and send the next request."""
        errand = self._out.pop(connection, None)
        if errand is None:
            connection.abort()  # nobody asked
            return
        self._ledger.note_answer(errand, self._clock(), status, head, body)
        self._settle(errand)
        if status in REFUSALS and not self._arrivals:
            self._loop.call_later(self._choose_pause(head), self._feed, connection)
        else:
            self._feed(connection)

    def on_lost(self, connection: Connection) -> None:
        """Write down that an answer will not come, and open another connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_lost.set()
        if connection in self._idle:
            self._idle.remove(connection)
        errand = self._out.pop(connection, None)
        if errand is not None:
            self._fail(errand, "connection lost")
        # A server that accepts and closes, again and again, is not to be asked in a tight circle.
        self._loop.call_later(0 if connection.answers else _REOPEN_S, self._open)

    def _open(self) -> None:
        if not self._over.done():
            task = self._loop.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        to = self._address
        try:
            async with asyncio.timeout(self._plan.timeout_s):
                await self._loop.create_connection(
                    lambda: Connection(self), to.host, to.port, ssl=to.secure or None
                )
        except OSError:  # a timeout is one
            errand = self._take_errand()
            if errand is not None:
                self._fail(errand, "unreachable")
            self._loop.call_later(_REOPEN_S, self._open)

    def _feed(self, connection: Connection) -> None:
        """Give a free connection something to do."""
        if not connection.is_open:
            return
        errand = self._take_errand()
        if errand is None:
            self._idle.append(connection)
            return
        self._out[connection] = errand
        connection.ask(self._questions[errand.question].request)

    def _take_errand(self) -> Errand | None:
        if self._due:
            return self._due.popleft()
        if self._arrivals or not self._sends:
            return None
        return self._make_errand(self._clock())

    def _make_errand(self, due_s: float) -> Errand:
        counts = self._begins_s <= due_s < self._ends_s
        if counts:
            self._owed += 1
            self._counted += 1
            self._sends = self._counted != self._plan.requests
        return Errand(due_s, next(self._turns), counts)

    def _arrive_next(self) -> None:
        if self._arrivals and self._sends:
            due_s = self._starts_s + next(self._arrivals)
            self._loop.call_later(max(due_s - self._clock(), 0), self._arrive, due_s)

    def _arrive(self, due_s: float) -> None:
        if self._sends:
            # Timers go by the millisecond, so one may be early.
            self._due.append(self._make_errand(min(due_s, self._clock())))
            if self._idle:
                self._feed(self._idle.popleft())
            self._arrive_next()

    def _fail(self, errand: Errand, reason: str) -> None:
        self._ledger.note_failure(errand, reason)
        self._settle(errand)

    def _settle(self, errand: Errand) -> None:
        self._exchanges += 1
        self._owed -= errand.counts
        self._wind_down()

    def _wind_down(self) -> None:
        if self._owed:
            return
        if self._sends and self._clock() >= self._ends_s:
            self._sends = False
            self._due.clear()
        if not self._sends and not self._out and not self._over.done():
            self._over.set_result(None)

    def _sweep(self) -> None:
        """Give up what takes too long, and see whether the time is over."""
        if self._over.done():
            return
        oldest_s = self._clock() - self._plan.timeout_s
        while self._due and self._due[0].due_s < oldest_s:
            self._fail(self._due.popleft(), "timeout")
        for connection in [one for one, errand in self._out.items() if errand.due_s < oldest_s]:
            self._fail(self._out.pop(connection), "timeout")
            connection.abort()
        self._wind_down()
        self._loop.call_later(min(self._plan.timeout_s / 4, 0.1), self._sweep)

    def _choose_pause(self, head: bytes) -> float:
        found = _RETRY_AFTER.search(head)
        return min(float(found[1]) if found else _PAUSE_S, self._plan.timeout_s)

    async def _close(self) -> None:
        if not self._over.done():
            self._over.cancel()
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        for connection in list(self._connections):
            connection.abort()
        if self._connections:
            await self._all_lost.wait()
