"""Cancellation of work whose client has disconnected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

GRACE_S = 0.1
"""Seconds before listening for a disconnect begins. Earlier, it would cost a fast request more than
it saves."""


class ClientDisconnectedError(Exception):
    """The client has disconnected before the answer."""


class cancel_on_disconnect:  # noqa: N801 (reads like asyncio.timeout)
    """Context that cancels the work inside when the client disconnects.

    Args:
        wait_for_disconnect: Function that returns when the client has disconnected. It is called at
            most once, after the request's body has been read completely.

    Raises:
        ClientDisconnectedError: on leaving the context, if the client has disconnected.
    """

    def __init__(self, wait_for_disconnect: Callable[[], Awaitable[None]]) -> None:
        self._wait_for_disconnect = wait_for_disconnect
        self._gone = False
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("cancel_on_disconnect must be entered inside a task; there is none")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(GRACE_S, self._listen)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        if self._gone and self._task.uncancel() <= self._cancelling:
            raise ClientDisconnectedError from error

    def _listen(self) -> None:
        self._listener = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        await self._wait_for_disconnect()
        self._gone = True
        self._task.cancel()
