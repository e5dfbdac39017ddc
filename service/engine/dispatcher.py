"""Worker threads, and the queue between them and the event loop.

1. A free worker takes the next batch from `BatchQueue` at once. Batches are not delayed to grow.
2. The queue and the counts of remaining windows change under one lock, which is held for
   microseconds. Models run and outputs are copied outside the lock.
3. If a batch fails, it is run again in halves until only the window that fails remains.
4. When a job fails, is cancelled or expires, all its windows leave the queue. Windows that are
   running finish, and their results are ignored.
5. Results are delivered on the caller's event loop, once per batch, after the calls for them have
   been counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lacuna.errors import DeadlineExceededError
from service.core.batching import Batch, BatchPolicy, BatchQueue
from service.core.cost import BatchCost
from service.core.lanes import QueuedWindow
from service.core.placement import Canvas
from service.core.statistics import BatchRecord
from service.engine.counters import EngineCounters
from service.engine.execution import Clock, run_windows
from service.engine.jobs import BatchKey, Job, Task

log = logging.getLogger(__name__)


def _ignore(record: BatchRecord) -> None:
    del record


class _RunningBatch(NamedTuple):
    """Batch that a worker runs: when it began, and its predicted seconds."""

    began_s: float
    cost_s: float


class RunningWork(NamedTuple):
    """Calls that run.

    Attributes:
        rest_s: Predicted seconds until they are done, summed over all workers.
        workers: Number of workers.
        idle: Number of idle workers.
    """

    rest_s: float
    workers: int
    idle: int


class Dispatcher:
    """Dispatcher of windows in batches to worker threads.

    Args:
        policy: Limits on batches.
        workers: Number of concurrent batches.
        clock: Clock in seconds.

    Attributes:
        counters: Counters of the finished work.
        on_batch: Callback after every successful call, on the worker's thread.
    """

    def __init__(
        self,
        policy: BatchPolicy | None = None,
        workers: int = 1,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._queue = BatchQueue(policy or BatchPolicy())
        self.counters = EngineCounters()
        self.on_batch: Callable[[BatchRecord], None] = _ignore
        self._clock = clock
        self._condition = threading.Condition(threading.Lock())
        self._runs: dict[int, _RunningBatch] = {}
        self._closing = False
        self._threads = [
            # Daemon threads, so that a model that hangs does not keep the process from ending.
            threading.Thread(target=self._work, args=(index,), name=f"infer-{index}", daemon=True)
            for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def read_waiting(self) -> dict[str, float]:
        """Return the predicted seconds of each client's queued work, for one worker."""
        return self._queue.backlog.work_s.copy()

    def sum_waiting_s(self) -> float:
        """Return the predicted seconds of all queued work, for one worker."""
        return sum(self.read_waiting().values())

    def measure_running(self) -> RunningWork:
        """Measure the running calls, without the lock and therefore approximately."""
        now_s, rest_s = self._clock(), 0.0
        runs = list(self._runs.values())
        for began_s, cost_s in runs:
            rest_s += max(began_s + cost_s - now_s, 0.0)
        workers = len(self._threads)
        return RunningWork(rest_s, workers, workers - len(runs))

    @property
    def idle_workers(self) -> int:
        """Number of workers without work, approximately."""
        return 0 if len(self._queue) else len(self._threads) - len(self._runs)

    def count_waiting(self) -> int:
        """Count the queued windows."""
        return len(self._queue)

    def find_longest_run_s(self) -> float:
        """Return the seconds since the oldest running batch began; 0 if none runs."""
        now_s = self._clock()
        with self._condition:
            return max((now_s - run.began_s for run in self._runs.values()), default=0.0)

    def submit(self, job: Job) -> None:
        """Queue the windows of a job."""
        with self._condition:
            job.remaining = len(job.windows)
            for window in job.windows:
                self._queue.add(window)
            self._condition.notify(len(job.windows))

    def cancel(self, job: Job) -> None:
        """Remove the windows of a job from the queue."""
        with self._condition:
            self._dequeue(job)

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish the running batches, and begin no new ones.

        Args:
            timeout_s: Longest wait for each worker, in seconds.
        """
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self, worker: int) -> None:
        while (batch := self._next(worker)) is not None:
            try:
                self._run(worker, batch)
            except Exception as error:  # noqa: BLE001 (a worker must outlive whatever happens)
                self._fail(batch.windows, error)
            del batch  # an idle worker must not reference a model that is unloaded

    def _next(self, worker: int) -> Batch | None:
        with self._condition:
            self._runs.pop(worker, None)
            while not self._closing:
                now_s = self._clock()
                self._expire(now_s)
                batch = self._queue.take(now_s, _find_cost)
                if batch is None:
                    event_s = self._queue.next_event_s()
                    self._condition.wait(None if event_s is None else max(event_s - now_s, 0.0))
                    continue
                tasks: list[Task] = [window.payload for window in batch.windows]
                cost_s = sum(window.cost_s for window in batch.windows)
                self._runs[worker] = _RunningBatch(now_s, cost_s)
                for task in tasks:
                    if task.job.began_s is None:
                        task.job.began_s = now_s
                return batch
        return None

    def _run(self, worker: int, batch: Batch) -> None:
        failed: dict[Job, Exception] = {}
        canvas = Canvas(batch.lane.bucket, batch.lane.keep, batch.lane.strips)
        answers = run_windows(batch.windows, canvas, self._clock, self._record_call)
        for window, answer in answers:
            task: Task = window.payload
            if isinstance(answer, Exception):
                failed[task.job] = answer
            else:
                task.job.place(task.output, answer)
        with self._condition:
            # Before the results are delivered, so that a caller does not see this batch as running.
            self._runs.pop(worker, None)
            finished: list[Job] = []
            for window in batch.windows:
                job = window.payload.job
                job.remaining -= 1
                job.computed_pixels += canvas.computed_pixels
                if job in failed and job.error is None:
                    job.error = failed[job]
                    self._dequeue(job)
                    finished.append(job)
                elif job.remaining == 0 and job.error is None:
                    finished.append(job)
        _resolve(finished, self._clock())

    def _record_call(self, record: BatchRecord) -> None:
        self.counters.count_call(record)
        self.on_batch(record)

    def _fail(self, windows: Iterable[QueuedWindow], error: Exception) -> None:
        with self._condition:
            jobs = self._mark_failed(windows, error)
        _resolve(jobs, self._clock())

    def _expire(self, now_s: float) -> None:
        expired = self._queue.drop_expired(now_s)
        if expired:
            late = DeadlineExceededError(
                "the answer must arrive within timeout_s; the time was over while it was queued"
            )
            _resolve(self._mark_failed(expired, late), now_s)

    def _mark_failed(self, windows: Iterable[QueuedWindow], error: Exception) -> list[Job]:
        jobs = []
        for window in windows:
            job: Job = window.payload.job
            if job.error is None:
                job.error = error
                self._dequeue(job)
                jobs.append(job)
        return jobs

    def _dequeue(self, job: Job) -> None:
        for window in job.windows:
            self._queue.cancel(window)


def _find_cost(key: BatchKey) -> BatchCost:
    return key.model.cost


def _resolve(jobs: Sequence[Job], now_s: float) -> None:
    """Resolve jobs on their callers' event loop."""
    if not jobs:
        return

    def resolve() -> None:
        for job in jobs:
            job.resolve(now_s)

    try:
        jobs[0].loop.call_soon_threadsafe(resolve)
    except RuntimeError:
        log.debug("results dropped: the event loop of the caller is closed")
