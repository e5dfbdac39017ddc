"""Noticing that a client has gone while its answer is being made."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.requests import ClientDisconnect
from starlette.types import Receive

PATIENCE_S = 0.1
"""Before that nobody looks: listening costs a quick request more than its leaving saves."""


class cancel_on_disconnect:  # noqa: N801 (reads like asyncio.timeout)
    """Cancel what is inside as soon as the client has gone.

    Args:
        receive: of ASGI, whose request's body was read to its end.

    Raises:
        ClientDisconnect: on leaving, if that is what happened.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("must be entered inside a task; there is none")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._listen)

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
            raise ClientDisconnect from error

    def _listen(self) -> None:
        self._listener = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()
