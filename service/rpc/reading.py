"""Reading of a call's only message and of the call's end.

1. Both are read in one task, which is never cancelled: gRPC frees a message only when the read that
   got it goes on. The task ends with its call.
2. The message is accepted or refused before the end of the call has come, which may be long in
   coming.
3. A limit of time applies to what is awaited: first the message, then the end.
4. A message that comes when nobody waits any more is ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc

from lacuna.errors import EmptyBodyError, MalformedRequestError, NotReadyError, SlowBodyError
from service.rpc.drain import Drain

DRAIN_S = 1.0
"""Seconds in which the message of a call must arrive once the server drains."""

_CANCEL_S = 0.5


class Reading:
    """Reading of a call's only message and of the call's end. It begins at once.

    Args:
        context: context of the call, of gRPC's.
        drain: drain of the server.
        accept: function that checks or counts the message. If it raises an error, nothing waits for
            the end.
        message_s: seconds in which the message must arrive.
        end_s: seconds in which the end must arrive after the message.

    Attributes:
        has_message: True once the message was accepted.
    """

    def __init__(
        self,
        context: grpc.aio.ServicerContext,
        drain: Drain,
        accept: Callable[[bytes], object],
        message_s: float,
        end_s: float,
    ) -> None:
        self.has_message = False
        self._context, self._drain, self._accept, self._end_s = context, drain, accept, end_s
        self._loop = asyncio.get_running_loop()
        self._message = b""
        self._is_over = False
        self._await("a message", message_s)
        self._task = begin_read(self._read())

    async def finish(self) -> bytes:
        """Wait for message and end, and return the message.

        Raises:
            EmptyBodyError: if the call has no message.
            MalformedRequestError: if it has more than one.
            SlowBodyError: if message or end do not arrive in time.
            NotReadyError: if they have not arrived when the server drains.
        """
        try:
            while not await self._drain.wait_for(self._task, self._find_pause_s(), DRAIN_S):
                self._check_time()
            self._task.result()
            return self._message
        finally:
            # If the end was not waited for, the task goes on for a while.
            self._is_over = True
            self._message = b""

    async def _read(self) -> None:
        message = await self._context.read()
        if self._is_over:
            return
        if message is grpc.aio.EOF:
            # A message over gRPC's limit, or half of one, looks the same. Then gRPC cancels the
            # call a moment later.
            await asyncio.sleep(_CANCEL_S)
            raise EmptyBodyError("a call must have one message; it has none")
        self._accept(message)
        self.has_message = True
        self._message = message
        del message
        self._await("the end of a call", self._end_s)
        if await self._context.read() is not grpc.aio.EOF:
            raise MalformedRequestError("a call must have one message; it has more")

    def _await(self, what: str, limit_s: float) -> None:
        self._awaited, self._limit_s = what, limit_s
        self._due_s = self._loop.time() + limit_s

    def _find_pause_s(self) -> float:
        """Return the seconds until the limit of time, which is another one after the message."""
        return min(self._due_s - self._loop.time(), self._end_s)

    def _check_time(self) -> None:
        if self._drain.has_begun:
            raise NotReadyError(
                f"{self._awaited} must arrive before the server shuts down; it has not"
            )
        if self._loop.time() >= self._due_s:
            raise SlowBodyError(
                f"{self._awaited} must arrive within {self._limit_s:g} s; it has not"
            )


def begin_read(read: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin a read in a task of its own, which ends with its call.

    A read that is cancelled would leak a message that has just come.
    """
    task = asyncio.get_running_loop().create_task(read)
    # The error of a call that has ended tells nothing, and perhaps nobody waits for it.
    task.add_done_callback(_take_error)
    return task


def _take_error(task: asyncio.Task[Any]) -> None:
    """Take the error of a read that nobody waits for. asyncio would log it."""
    if not task.cancelled():
        task.exception()
