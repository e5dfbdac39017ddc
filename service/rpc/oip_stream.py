"""`ModelStreamInfer`: many requests in one call, each answered as soon as it is ready.

1. At most `MAX_IN_FLIGHT` requests of a stream are read while their answers were not yet written.
   The rest waits with the client, whom HTTP/2's flow control stops.
2. An answer has the id of its request. Answers to requests without an id keep the order of these.
3. A request that fails is answered with a message, and the stream goes on.
4. When the client cancels the call, or its deadline passes, all of its requests are dropped.
5. While the server drains, the stream takes no further request. It answers those that it has taken,
   and ends with UNAVAILABLE.
6. A client that does not take an answer within the limit of time for a body has its call ended. An
   answer counts until gRPC has let go of it, which may be later: a call cannot be reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from lacuna.errors import MalformedRequestError, SlowBodyError
from service.listening.services import Services
from service.rpc.answering import attempt
from service.rpc.call import Call
from service.rpc.streamed_request import StreamedRequest
from service.wire.oip_grpc.dialect import OipGrpcDialect
from service.wire.oip_grpc.stream import read_id, render_error, wrap_answer

MAX_IN_FLIGHT = 64
"""Requests of a stream that are worked on at a time. They fill a few batches."""


async def answer_stream(services: Services, call: Call, dialect: OipGrpcDialect) -> None:
    """Answer the requests of a stream.

    Args:
        services: objects that every listener works with.
        call: call whose messages were not read yet.
        dialect: dialect of each request.

    Raises:
        NotReadyError: if the server drains.
    """
    services.gate.check_open()
    # Otherwise gRPC would send it again with the status, while the first answer is being written.
    await call.context.send_initial_metadata(())
    stream = _Stream(services, call, dialect)
    try:
        async with asyncio.TaskGroup() as group:
            await stream.take_requests(group)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    services.gate.check_open()


class _Stream:
    def __init__(self, services: Services, call: Call, dialect: OipGrpcDialect) -> None:
        self._services, self._call, self._dialect = services, call, dialect
        self._room = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._writing = asyncio.Lock()
        self._last_unnamed: asyncio.Task[None] | None = None

    async def take_requests(self, group: asyncio.TaskGroup) -> None:
        number = 0
        await self._room.acquire()
        while (message := await self._call.read_next()) is not None:
            number += 1
            self._begin(message, number, group)
            del message  # It must not be held while the next one is awaited.
            await self._room.acquire()

    def _begin(self, message: bytes, number: int, group: asyncio.TaskGroup) -> None:
        request_id, fault = _find_id(message)
        request = StreamedRequest(self._call, message, number, fault)
        before = None if request_id else self._last_unnamed
        task = group.create_task(self._answer(request, request_id, before))
        if not request_id:
            self._last_unnamed = task

    async def _answer(
        self, request: StreamedRequest, request_id: str, before: asyncio.Task[None] | None
    ) -> None:
        try:
            content, release = await self._work(request, request_id)
            # The message no longer counts, so it must not be held while the answer waits.
            del request
            try:
                if before is not None:
                    await asyncio.wait([before])
                await self._writing.acquire()
            except BaseException:
                release()
                raise
            await self._write(content, release)
            # Only now: an answer that was not written ends the stream, and no other may follow it.
            self._writing.release()
        finally:
            self._room.release()

    async def _work(
        self, request: StreamedRequest, request_id: str
    ) -> tuple[bytes | None, Callable[[], None]]:
        """Return the message that answers a request, and what to call once it was written."""
        release: Callable[[], None] | None = None

        async def work() -> bytes:
            nonlocal release
            reply = await self._services.exchange.answer(request, self._dialect)
            release = reply.release
            return wrap_answer(reply.content)

        content, failure = await attempt(request, work)
        if failure is not None:
            content = render_error(request_id, failure.message, failure.describe())
        return content, release or self._count(len(content or b""))

    def _count(self, content_bytes: int) -> Callable[[], None]:
        """Count an answer that is too small for the exchange to do so: here, many may wait.

        Nothing waits until the memory is free. It is taken already.

        Returns:
            Function that ends it.
        """
        client = self._call.client
        pool = self._services.gate.memory.choose_pool(content_bytes, client)
        return pool.claim(client, content_bytes).release

    async def _write(self, content: bytes | None, release: Callable[[], None]) -> None:
        """Write an answer, and release its memory as soon as gRPC has let go of it.

        Raises:
            SlowBodyError: if the client does not take it in time.
        """
        limit_s = self._services.body_limits.body_s
        writing = asyncio.ensure_future(self._call.context.write(content))
        writing.add_done_callback(partial(_finish, release))
        # To cancel it would not take the answer from gRPC.
        await asyncio.wait([writing], timeout=limit_s)
        if not writing.done():
            raise SlowBodyError(f"an answer must be read within {limit_s:g} s; it was not")
        writing.result()


def _find_id(message: bytes) -> tuple[str, str]:
    """Return the id of a request, empty if it has none, and why it is not known."""
    try:
        return read_id(message), ""
    except MalformedRequestError as error:
        return "", error.message


def _finish(release: Callable[[], None], writing: asyncio.Future[None]) -> None:
    """Release the memory of an answer, and take the error of a call that ended before it."""
    release()
    if not writing.cancelled():
        writing.exception()
