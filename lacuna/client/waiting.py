"""The client for code on an event loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

import httpx2

from lacuna.client.calls import Call, Question, Reply, Steps, Value
from lacuna.client.catalog import Catalog
from lacuna.client.failures import Failure, explain_silence, read_failure
from lacuna.client.protocols import PROTOCOLS, Protocol
from lacuna.client.protocols.native import write_call
from lacuna.client.result import Result
from lacuna.client.retries import RetryPolicy, choose_wait
from lacuna.client.sources import Image
from lacuna.client.transport import (
    KEEP_S,
    Target,
    build_headers,
    build_request,
    make_reply,
    pair,
    show_progress,
)
from lacuna.errors import LacunaError


class AsyncClient:
    """Asks a server over HTTP without blocking the event loop, but for reading files.

    Args:
        url: of the server, e.g. `http://127.0.0.1:8000`.
        api_key: sent as `Authorization: Bearer …`, where the server wants one.
        timeout_s: how long to wait for the connection, and for each part of an answer.
        retry: how long to keep trying where the server is busy or away.
        protocol: `native`, `oip` (Triton, KServe) or `tfserving`.
        transport: to use instead of the network's.
        clock: seconds, for the time that retries take.
        sleep: waits for seconds, between them.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 300.0,
        retry: RetryPolicy | None = None,
        protocol: Protocol = "native",
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers=build_headers(api_key),
            timeout=timeout_s,
            limits=httpx2.Limits(keepalive_expiry=KEEP_S),
            transport=transport,
        )
        self._retry = RetryPolicy() if retry is None else retry
        self._segment = PROTOCOLS[protocol]
        self._catalog = Catalog()
        self._stranger = True
        self._clock, self._sleep = clock, sleep

    async def segment(
        self,
        image: Image,
        mask: Image | None = None,
        *,
        probabilities: bool = False,
        **target: Unpack[Target],
    ) -> Result:
        """Segment an image; see `Client.segment`."""
        return await self.ask(Question(image, mask, probabilities, **target))

    async def ask(self, question: Question) -> Result:
        """Segment an image, with all that can be said about it; see `segment`."""
        return await self._run(self._segment(question, self._catalog))

    async def segment_as(
        self,
        media_type: str,
        image: Image,
        mask: Image | None = None,
        **target: Unpack[Target],
    ) -> bytes:
        """Segment an image and take the answer as it is; see `Client.segment_as`."""
        return (await self._send(write_call(Question(image, mask, **target), media_type))).content

    @overload
    def map(
        self,
        images: Iterable[Image],
        masks: Iterable[Image | None] | None = None,
        *,
        concurrency: int = 8,
        progress: bool = False,
        return_errors: Literal[False] = False,
        probabilities: bool = False,
        **target: Unpack[Target],
    ) -> AsyncIterator[Result]: ...
    @overload
    def map(
        self,
        images: Iterable[Image],
        masks: Iterable[Image | None] | None = None,
        *,
        concurrency: int = 8,
        progress: bool = False,
        return_errors: Literal[True],
        probabilities: bool = False,
        **target: Unpack[Target],
    ) -> AsyncIterator[Result | LacunaError | OSError]: ...
    async def map(
        self,
        images: Iterable[Image],
        masks: Iterable[Image | None] | None = None,
        *,
        concurrency: int = 8,
        progress: bool = False,
        return_errors: bool = False,
        probabilities: bool = False,
        **target: Unpack[Target],
    ) -> AsyncIterator[Result | LacunaError | OSError]:
        """Segment many images, several at once; see `Client.map`."""
        seats = asyncio.Semaphore(concurrency)

        async def ask(image: Image, mask: Image | None) -> Result | LacunaError | OSError:
            async with seats:
                try:
                    return await self.segment(image, mask, probabilities=probabilities, **target)
                except (LacunaError, OSError) as error:
                    if return_errors:
                        return error
                    raise

        tasks: deque[asyncio.Task[Result | LacunaError | OSError]] = deque()
        with show_progress(images, enabled=progress) as advance:
            try:
                for image, mask in pair(images, masks):
                    if len(tasks) == 2 * concurrency:
                        yield await tasks[0]
                        tasks.popleft()
                    task = asyncio.create_task(ask(image, mask))
                    task.add_done_callback(lambda _: advance())
                    tasks.append(task)
                while tasks:
                    yield await tasks[0]
                    tasks.popleft()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def models(self) -> list[dict[str, Any]]:
        """List the models and versions, their classes and what they promise."""
        return await self._run(self._catalog.list_models())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, steps: Steps[Value]) -> Value:
        try:
            call = next(steps)
            while True:
                call = steps.send(await self._send(call))
        except StopIteration as done:
            value: Value = done.value
            return value

    async def _send(self, call: Call) -> Reply:
        began_s, tries = self._clock(), 0
        while True:
            outcome = await self._ask(call)
            if isinstance(outcome, Reply):
                return outcome
            tries += 1
            elapsed_s = self._clock() - began_s
            wait_s = choose_wait(
                self._retry,
                outcome,
                tries,
                elapsed_s,
                random.random(),  # noqa: S311
                stranger=self._stranger,
            )
            if wait_s is None:
                raise outcome.error
            await self._sleep(wait_s)

    async def _ask(self, call: Call) -> Reply | Failure:
        try:
            reply = make_reply(await self._http.send(build_request(self._http, call)))
        except httpx2.HTTPError as fault:
            return explain_silence(self._url, fault)
        self._stranger = False
        return read_failure(reply) if reply.status >= 400 and call.raises else reply
