"""Pool of workers on a cluster, whose losses cost only the calls that were under way.

1. Each place of the pool holds a worker. It gets two calls at a time, so that one is there when
   the other ends.
2. A call whose worker is lost is repeated on another one. After three losses the call is taken for
   their cause, and fails.
3. A lost worker is replaced. A place whose workers are lost three times in a row before they have
   opened the model is given up.
4. What makes a worker unfit, such as another version of lacuna or a model that cannot be loaded,
   ends all calls: half of the result would come from something else.
5. If there is no worker for `patience_s`, all calls end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from lacuna.client import UnreachableError
from lacuna.errors import InferenceError, LacunaError

CALLS_PER_WORKER = 2
MAX_LOSSES = 3


class ClusterError(UnreachableError):
    """Cluster that does not answer, or cannot do the work."""

    code = "cluster"


class LostWorkerError(Exception):
    """Worker whose process or node is gone. Nobody outside of the pool sees it."""


class Worker(Protocol):
    """Worker as the pool knows it."""

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method.

        Raises:
            LostWorkerError: if the worker is gone.
            LacunaError: if the method fails.
        """
        ...

    def end(self) -> None:
        """End the worker, if it is still there."""
        ...


class _Place:
    """Place of a worker that is at work."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.is_lost = asyncio.Event()


class WorkerPool:
    """Pool of workers, open as a context.

    Args:
        start: starts a worker, and does not wait for it.
        prepare: waits until a worker is there, and makes sure that it fits.
        open_model: has a worker load the model.
        size: number of workers.
        patience_s: seconds to wait for a worker while there is none.
    """

    def __init__(
        self,
        start: Callable[[], Worker],
        prepare: Callable[[Worker], Awaitable[None]],
        open_model: Callable[[Worker], Awaitable[None]],
        size: int,
        patience_s: float,
    ) -> None:
        self._start, self._prepare, self._open_model = start, prepare, open_model
        self._size, self._patience_s = size, patience_s
        self._seats: asyncio.Queue[_Place | None] = asyncio.Queue()
        self._at_work = 0
        self._places = size
        self._error: LacunaError | None = None
        self._has_changed = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def concurrency(self) -> int:
        """Number of calls that keep all workers busy."""
        return CALLS_PER_WORKER * self._size

    async def __aenter__(self) -> Self:
        self._keepers = [asyncio.create_task(self._keep_place()) for _ in range(self._size)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def wait_for_workers(self, count: int = 1) -> None:
        """Wait until so many workers are at work.

        Raises:
            LacunaError: if calls can only fail.
        """
        while self._error is None and self._at_work < count:
            self._has_changed.clear()
            await self._has_changed.wait()
        if self._error is not None:
            raise self._error

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of a free worker, and of another one if that is lost.

        Raises:
            InferenceError: if three workers in a row are lost.
            ClusterError: if there is no worker any more.
            LacunaError: if the method fails, or a worker does not fit.
        """
        reason = ""
        for _ in range(MAX_LOSSES):
            place = await self._take_seat()
            try:
                return await place.worker.call(method, *arguments)
            except LostWorkerError as loss:
                reason = str(loss)
                place.is_lost.set()
            finally:
                self._seats.put_nowait(place)
        raise InferenceError(
            f"a window or an image must not end the process that segments it; {MAX_LOSSES} "
            f"processes ended, the last with {reason}"
        )

    async def _take_seat(self) -> _Place:
        while True:
            place = await self._seats.get()
            if place is None:
                self._seats.put_nowait(None)  # for the next one who waits
                raise self._error or ClusterError("the pool of workers must be open; it is not")
            if not place.is_lost.is_set():
                return place

    async def _keep_place(self) -> None:
        """Keep a worker at work, and replace it when it is lost."""
        losses, reason = 0, ""
        while losses < MAX_LOSSES:
            worker = self._start()
            try:
                await self._await_worker(worker)
                await self._open_model(worker)
                losses = 0
                await self._offer(worker)
            except LostWorkerError as loss:
                losses, reason = losses + 1, str(loss)
            except LacunaError as error:
                self._fail(error)
                return
            finally:
                worker.end()
        self._places -= 1
        if not self._places:
            self._fail(
                ClusterError(
                    f"processes on the cluster must stay; {MAX_LOSSES} in a row ended before they "
                    f"had loaded the model, the last with {reason}"
                )
            )

    async def _await_worker(self, worker: Worker) -> None:
        """Wait until a worker is there and fits.

        Raises:
            ClusterError: if none is there for too long.
        """
        waiting = asyncio.ensure_future(self._prepare(worker))
        try:
            while not (await asyncio.wait({waiting}, timeout=self._patience_s))[0]:
                if not self._at_work:
                    raise ClusterError(
                        "a CPU of the cluster must become free within "
                        f"{self._patience_s:g} s; none did"
                    )
            await waiting
        finally:
            waiting.cancel()
            with suppress(asyncio.CancelledError, LacunaError, LostWorkerError):
                await waiting

    async def _offer(self, worker: Worker) -> None:
        """Offer a worker to calls until it is lost."""
        place = _Place(worker)
        self._at_work += 1
        self._has_changed.set()
        for _ in range(CALLS_PER_WORKER):
            self._seats.put_nowait(place)
        try:
            await place.is_lost.wait()
        finally:
            self._at_work -= 1

    def _fail(self, error: LacunaError) -> None:
        if self._error is None:
            self._error = error
            self._has_changed.set()
            self._seats.put_nowait(None)
