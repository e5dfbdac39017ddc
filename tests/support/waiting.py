"""Waiting for what comes about in another thread, in another process or in another turn."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar

T = TypeVar("T")

_BETWEEN_LOOKS_S = 0.01


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Look until a condition holds, or the time is over; return whether it holds.

    For conditions that nobody announces, such as the state of another process. The deadline is
    there for tests that fail: a test that passes waits no longer than it has to.
    """
    over = threading.Event()
    timer = threading.Timer(seconds, over.set)
    timer.daemon = True
    timer.start()
    try:
        while not (holds := condition()) and not over.wait(_BETWEEN_LOOKS_S):
            pass
        return holds or condition()
    finally:
        timer.cancel()


def is_ready(address: str) -> bool:
    """Return whether a server is there and would take a request."""
    with closing(HTTPConnection(address, timeout=10)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False


async def let_others_run() -> None:
    """Let every task that is ready run once."""
    await _Turn()


class _Turn:
    def __await__(self) -> Generator[None]:
        yield


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for no timer: moves its own clock to it instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select()
        events = super().select(0)
        if not events:
            self.now_s += timeout
        return events


class _VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop on a clock that jumps to the next timer as soon as nothing else is to be done."""

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s


def run_virtually(task: Coroutine[Any, Any, T]) -> T:
    """Run what waits for timers and for nothing outside of its loop, on a virtual clock.

    Minutes are over at once, and whatever else the machine does, in the same order.
    """
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(task)


async def let_pass(seconds: float) -> None:
    """Let a time pass on the loop's clock; for loops whose clock is virtual."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()
