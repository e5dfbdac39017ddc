"""Concurrency and waiting of `Client`: threads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

Sleep = Callable[[float], None]

sleep: Sleep = time.sleep


def map_concurrently(
    function: Callable[[Item], Outcome],
    items: Iterable[Item],
    concurrency: int,
    progress: AbstractContextManager[Callable[[], None]],
) -> Iterator[Outcome]:
    """Apply a function to many items on threads; see `tasks.map_concurrently`."""
    futures: deque[Future[Outcome]] = deque()
    with progress as advance, ThreadPoolExecutor(concurrency, "lacuna-client") as pool:
        try:
            for item in items:
                if len(futures) == 2 * concurrency:
                    yield futures.popleft().result()
                future = pool.submit(function, item)
                future.add_done_callback(lambda _: advance())
                futures.append(future)
            while futures:
                yield futures.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
