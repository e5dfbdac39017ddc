"""Following a repository for as long as the server lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from service.engine.lifecycle.repository import ModelRepository

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


async def keep_watch(repository: ModelRepository, sleep: Sleep = asyncio.sleep) -> None:
    """Load the models, then look for new ones again and again, until cancelled.

    Args:
        repository: whose policy says how often; only once if never.
        sleep: waits for so many seconds.
    """
    follow = repository.load_all
    while True:
        try:
            await follow()
            follow = repository.refresh
        except Exception:
            log.exception("the repository could not be followed; the next look may do better")
        if repository.policy.poll_s <= 0:
            return
        await sleep(repository.policy.poll_s)
