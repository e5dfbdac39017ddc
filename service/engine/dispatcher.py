"""Worker threads, and the queue between them and the event loop.

Rules:
1. A worker that is free takes at once what `BatchQueue` gives it. Nothing waits for company.
2. The queue and the counts of what is missing change under one lock, which is held for
   microseconds. Models run, and answers are put in place, outside it.
3. If a batch fails, it is run again in halves until only the culprit fails.
4. A job that failed, was cancelled or ran out of time leaves the queue with all its windows; what
   is running is let finish, and nobody looks at it.
5. Callers are told on their event loop, once a batch. By then all calls made for them are counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from lacuna.errors import DeadlineExceededError, InferenceError
from lacuna.sample import Segmentation
from service.core.admission import Load
from service.core.batching import Batch, BatchPolicy, BatchQueue
from service.core.buckets import assemble
from service.core.cost import BatchCost
from service.core.lanes import QueuedWindow
from service.core.statistics import BatchRecord
from service.core.windows import cut
from service.engine.jobs import Job, LaneKey, Task
from service.engine.tally import Tally
from service.runtime.protocol import BatchOutput

log = logging.getLogger(__name__)

Clock = Callable[[], float]


def _ignore(record: BatchRecord) -> None:
    del record


class _Run(NamedTuple):
    """A batch that is being run: since when, and how long it should take."""

    began_s: float
    cost_s: float


class Dispatcher:
    """Runs windows in batches on worker threads.

    Args:
        policy: of the batches.
        workers: how many batches run at once.
        clock: gives the time in seconds.

    Attributes:
        tally: of what was done.
        on_batch: told of every call that came back, on the worker's thread.
    """

    def __init__(
        self,
        policy: BatchPolicy | None = None,
        workers: int = 1,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._queue = BatchQueue(policy or BatchPolicy())
        self.tally = Tally()
        self.on_batch: Callable[[BatchRecord], None] = _ignore
        self._clock = clock
        self._wake = threading.Condition(threading.Lock())
        self._runs: dict[int, _Run] = {}
        self._waiting_s = 0.0
        self._closing = False
        self._threads = [
            # A model that hangs must not keep the process from ending.
            threading.Thread(target=self._work, args=(index,), name=f"infer-{index}", daemon=True)
            for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def measure_load(self, pending: int = 0, pending_bytes: int = 0) -> Load:
        """Tell how much work is waiting and running, as far as is known without the lock.

        Args:
            pending: requests taken in and not yet answered.
            pending_bytes: of their bodies.
        """
        now_s = self._clock()
        runs = list(self._runs.values())
        running_s = sum([max(run.began_s + run.cost_s - now_s, 0.0) for run in runs])
        workers = len(self._threads)
        waiting_s = max(self._waiting_s, 0.0)
        return Load(waiting_s, running_s, workers, pending, pending_bytes, workers - len(runs))

    @property
    def idle_workers(self) -> int:
        """How many workers have nothing to do, as far as is known."""
        return 0 if len(self._queue) else len(self._threads) - len(self._runs)

    def count_waiting(self) -> int:
        """Count the windows that wait for a worker."""
        return len(self._queue)

    def find_longest_run_s(self) -> float:
        """Tell for how long the oldest running batch has been running."""
        now_s = self._clock()
        with self._wake:
            return max((now_s - run.began_s for run in self._runs.values()), default=0.0)

    def submit(self, job: Job) -> None:
        """Let a job's windows wait for their turn."""
        with self._wake:
            job.missing = len(job.windows)
            for window in job.windows:
                self._queue.add(window)
                self._waiting_s += window.payload.cost_s
            self._wake.notify(len(job.windows))

    def cancel(self, job: Job) -> None:
        """Take what waits of a job out of the queue."""
        with self._wake:
            self._withdraw(job)

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish what is running, and take nothing more.

        Args:
            timeout_s: how long to wait for a batch that does not end.
        """
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self, worker: int) -> None:
        while (batch := self._next(worker)) is not None:
            try:
                self._run(worker, batch)
            except Exception as error:  # noqa: BLE001 (a worker must outlive whatever happens)
                self._fail(batch.windows, error)
            del batch  # or an idle worker would keep a model that was unloaded

    def _next(self, worker: int) -> Batch | None:
        with self._wake:
            self._runs.pop(worker, None)
            while not self._closing:
                now_s = self._clock()
                self._expire(now_s)
                batch = self._queue.take(now_s, _find_cost)
                if batch is None:
                    event_s = self._queue.next_event_s()
                    self._wake.wait(None if event_s is None else max(event_s - now_s, 0.0))
                    continue
                tasks: list[Task] = [window.payload for window in batch.windows]
                cost_s = sum(task.cost_s for task in tasks)
                self._waiting_s -= cost_s
                self._runs[worker] = _Run(now_s, cost_s)
                for task in tasks:
                    if task.job.began_s is None:
                        task.job.began_s = now_s
                return batch
        return None

    def _run(self, worker: int, batch: Batch) -> None:
        failed: dict[Job, Exception] = {}
        height, width = batch.lane.bucket
        answers = run_windows(batch.windows, batch.lane.bucket, self._clock, self._note)
        for window, answer in answers:
            task: Task = window.payload
            if isinstance(answer, Exception):
                failed[task.job] = answer
            else:
                task.job.accept(task.part, answer)
        with self._wake:
            # Before anybody is told: whoever asks then must not find it running.
            self._runs.pop(worker, None)
            finished: list[Job] = []
            for window in batch.windows:
                job = window.payload.job
                job.missing -= 1
                job.computed_pixels += height * width
                if job in failed and job.error is None:
                    job.error = failed[job]
                    self._withdraw(job)
                    finished.append(job)
                elif job.missing == 0 and job.error is None:
                    finished.append(job)
        _tell(finished, self._clock())

    def _note(self, record: BatchRecord) -> None:
        self.tally.count_call(record)
        self.on_batch(record)

    def _fail(self, windows: Iterable[QueuedWindow], error: Exception) -> None:
        with self._wake:
            jobs = self._condemn(windows, error)
        _tell(jobs, self._clock())

    def _expire(self, now_s: float) -> None:
        expired = self._queue.drop_expired(now_s)
        if expired:
            self._waiting_s -= sum(window.payload.cost_s for window in expired)
            late = DeadlineExceededError("the answer must come within timeout_s; its time was up")
            _tell(self._condemn(expired, late), now_s)

    def _condemn(self, windows: Iterable[QueuedWindow], error: Exception) -> list[Job]:
        jobs = []
        for window in windows:
            job: Job = window.payload.job
            if job.error is None:
                job.error = error
                self._withdraw(job)
                jobs.append(job)
        return jobs

    def _withdraw(self, job: Job) -> None:
        for window in job.windows:
            if self._queue.cancel(window):
                self._waiting_s -= window.payload.cost_s


def run_windows(
    windows: Sequence[QueuedWindow],
    bucket: tuple[int, int],
    clock: Clock,
    note: Callable[[BatchRecord], None],
) -> Iterator[tuple[QueuedWindow, Segmentation | Exception]]:
    """Run windows in one call, and in halves if that fails.

    Args:
        windows: of one model, none larger than the bucket; their payloads are tasks.
        bucket: height and width that they are padded to.
        clock: gives the time in seconds.
        note: told of each call that came back, once its answers have been taken.

    Yields:
        Each window with its answer, of its own size, or with what went wrong.
    """
    tasks: list[Task] = [window.payload for window in windows]
    model, probabilities = tasks[0].job.key
    began_s = clock()
    try:
        images, masks = assemble([cut(task.job.sample, task.part.cut) for task in tasks], bucket)
        assembled_s = clock()
        output = model.runtime.run(images, masks, probabilities=probabilities)
        ran_s = clock()
        _check_shapes(output, masks.shape, probabilities=probabilities)
    except Exception as error:  # noqa: BLE001 (told to the caller, whatever it is)
        if len(windows) > 1:
            middle = len(windows) // 2
            yield from run_windows(windows[:middle], bucket, clock, note)
            yield from run_windows(windows[middle:], bucket, clock, note)
            return
        yield windows[0], error
        return
    for index, (window, task) in enumerate(zip(windows, tasks, strict=True)):
        _, _, height, width = task.part.cut
        scores = output.probabilities
        yield (
            window,
            Segmentation(
                output.labels[index, :height, :width],
                None if scores is None else scores[index, :height, :width],
            ),
        )
    times_s = (assembled_s - began_s, ran_s - assembled_s, clock() - ran_s)
    note(BatchRecord(model.name, model.version, len(windows), masks.size, *times_s))


def _check_shapes(output: BatchOutput, wanted: tuple[int, ...], *, probabilities: bool) -> None:
    """See that what came back can be cut: a smaller array would be cut to a wrong answer."""
    scores = output.probabilities
    if output.labels.shape != wanted:
        raise InferenceError(f"labels must be {wanted}; {output.labels.shape} came back")
    if probabilities and (scores is None or scores.shape[:3] != wanted):
        shape = None if scores is None else scores.shape
        raise InferenceError(f"probabilities must be {wanted} and classes; {shape} came back")


def _find_cost(key: LaneKey) -> BatchCost:
    return key.model.cost


def _tell(jobs: Sequence[Job], now_s: float) -> None:
    """Settle jobs on their callers' event loop."""
    if not jobs:
        return

    def settle() -> None:
        for job in jobs:
            job.settle(now_s)

    try:
        jobs[0].loop.call_soon_threadsafe(settle)
    except RuntimeError:
        log.debug("nobody is left to be told")
