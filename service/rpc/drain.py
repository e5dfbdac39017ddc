"""The drain of the server, as those see it who wait for clients."""

from __future__ import annotations

import asyncio
from typing import Any


class Drain:
    """Drain of the server, which ends all waiting for clients. Used on the event loop only.

    `asyncio.wait` would do the same. For the two reads of a call, it took more time than all else
    that is done for a call here.

    Attributes:
        has_begun: True once the server drains.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self._waiters: set[asyncio.Future[None]] = set()

    def begin(self) -> None:
        """End all waiting, because the server drains."""
        self.has_begun = True
        for waiter in self._waiters:
            _wake(waiter)

    async def wait_for(
        self, work: asyncio.Task[Any], seconds: float | None, drain_s: float
    ) -> bool:
        """Wait for work, which goes on if it takes longer.

        Args:
            work: work to wait for.
            seconds: most seconds to wait; None for ever.
            drain_s: most seconds to wait once the server drains.

        Returns:
            True if the work is done.
        """
        if not self.has_begun:
            await self._wait(work, seconds)
        if self.has_begun and not work.done():
            await self._wait(work, drain_s)
        return work.done()

    async def _wait(self, work: asyncio.Task[Any], seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def wake(_: object = None) -> None:
            _wake(waiter)

        work.add_done_callback(wake)
        timer = None if seconds is None else loop.call_later(seconds, wake)
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            work.remove_done_callback(wake)
            if timer is not None:
                timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
