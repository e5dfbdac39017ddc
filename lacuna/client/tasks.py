"""Concurrency and waiting of `AsyncClient`: tasks of an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

Sleep = Callable[[float], Awaitable[None]]

sleep: Sleep = asyncio.sleep


async def map_concurrently(
    function: Callable[[Item], Awaitable[Outcome]],
    items: Iterable[Item],
    concurrency: int,
    progress: AbstractContextManager[Callable[[], None]],
) -> AsyncIterator[Outcome]:
    """Apply a function to many items, several at once.

    Args:
        function: applied to each item; the first error that it raises ends the iteration.
        items: taken as they are needed.
        concurrency: how many calls run at once.
        progress: yields a function that is called for each item that is done.

    Yields:
        Results, in the order of the items.
    """
    seats = asyncio.Semaphore(concurrency)

    async def call(item: Item) -> Outcome:
        async with seats:
            return await function(item)

    tasks: deque[asyncio.Task[Outcome]] = deque()
    with progress as advance:
        try:
            for item in items:
                if len(tasks) == 2 * concurrency:
                    yield await tasks[0]
                    tasks.popleft()
                task = asyncio.create_task(call(item))
                task.add_done_callback(lambda _: advance())
                tasks.append(task)
            while tasks:
                yield await tasks[0]
                tasks.popleft()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
