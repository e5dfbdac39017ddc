"""Threads for parsing, decoding and rendering, which clients take in turns."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from service.core.memory import MemoryPool

Value = TypeVar("Value")

_EXTRA_THREADS = 2
"""Threads beyond one per core. The event loop has two more, for everything else."""

_MOST_THREADS = 30


class SharedThreads:
    """Threads of the event loop's executor. Used on the event loop only.

    No client uses more than its share of them at once. Among the clients that wait, the one that
    uses the fewest is next.

    Args:
        max_share: Largest share of the threads for one client.
        threads: Number of threads; None for a few more than there are cores.
    """

    def __init__(self, max_share: float = 0.5, threads: int | None = None) -> None:
        threads = threads or min((os.cpu_count() or 1) + _EXTRA_THREADS, _MOST_THREADS)
        # The rules for memory, with threads in place of bytes.
        self._pool = MemoryPool(threads, max_share)

    async def run(self, client: str, work: Callable[[], Value]) -> Value:
        """Run work on a thread.

        If the caller is cancelled, this returns when the work has ended: a thread cannot be
        stopped, and the memory that it uses has to be counted until then.

        Args:
            client: Client of the request; empty if unknown.
            work: Work to run.

        Returns:
            The result of the work.
        """
        claim = self._pool.claim(client, 1)
        try:
            if not claim.is_granted:
                granted = asyncio.Event()
                claim.on_grant = granted.set
                await granted.wait()
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(None, copy_context().run, work)
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                await _wait_for_end(future)
                raise
            finally:
                # Its exception refers to this frame, and would keep what the work was given.
                del future
        finally:
            claim.release()


async def _wait_for_end(future: asyncio.Future[Any]) -> None:
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()  # nobody else looks at it
