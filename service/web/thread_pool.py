"""Threads beside the event loop, on which requests are parsed, decoded and rendered."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor


def start_thread_pool() -> ThreadPoolExecutor:
    """Start as many threads as asyncio would, but all at once.

    asyncio starts a thread when it is needed first. Without memory for it, that fails, or in
    CPython blocks the event loop for ever.

    Raises:
        RuntimeError: if a thread cannot be started.
    """
    count = min(32, (os.cpu_count() or 1) + 4)
    pool = ThreadPoolExecutor(count, thread_name_prefix="work")
    all_began = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(all_began.wait)
    all_began.wait()
    return pool
