"""Polling of a repository while the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from service.engine.lifecycle.repository import ModelRepository

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


async def watch_repository(repository: ModelRepository, sleep: Sleep = asyncio.sleep) -> None:
    """Load all models, then poll the repository until cancelled.

    Args:
        repository: Repository; its policy holds the interval. With an interval of 0, return after
            the initial load.
        sleep: Function that waits for a number of seconds.
    """
    update = repository.load_all
    while True:
        try:
            await update()
            update = repository.refresh
        except Exception:
            log.exception("the repository could not be refreshed; the next poll tries again")
        if repository.policy.poll_s <= 0:
            return
        await sleep(repository.policy.poll_s)
