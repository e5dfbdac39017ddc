"""The use case: a sample goes in, its segmentation comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lacuna.errors import DeadlineExceededError
from lacuna.sample import Sample
from service.core.batching import BatchPolicy, compute_due_times
from service.core.lanes import Lane, QueuedWindow
from service.core.windows import Part, Tiling, Window, blank, plan_windows
from service.engine.dispatcher import Clock, Dispatcher
from service.engine.jobs import Job, JobResult, LaneKey, Task
from service.engine.served import ServedModel

_QUICK_PIXELS = 256 * 256
"""Up to here planning takes less time than handing it to a thread and back."""


@dataclass(frozen=True)
class EnginePolicy:
    """How samples become batches.

    Attributes:
        workers: how many batches run at once.
        window_pixels: the largest window that a model is given; larger ones are tiled. Each running
            one takes some hundred bytes a pixel.
        batch: how windows share calls.
    """

    workers: int = 1
    window_pixels: int = Tiling.max_pixels
    batch: BatchPolicy = field(default_factory=BatchPolicy)


class Segmenter:
    """Runs models on samples, never on the event loop.

    Args:
        policy: how samples become batches.
        clock: gives the time in seconds.
    """

    def __init__(
        self, policy: EnginePolicy | None = None, clock: Clock = time.perf_counter
    ) -> None:
        self._policy = policy or EnginePolicy()
        self._clock = clock
        self._dispatcher = Dispatcher(self._policy.batch, self._policy.workers, clock)

    @property
    def dispatcher(self) -> Dispatcher:
        """What runs the windows."""
        return self._dispatcher

    async def segment(
        self,
        model: ServedModel,
        sample: Sample,
        *,
        probabilities: bool = False,
        timeout_s: float | None = None,
        priority: int = 0,
    ) -> JobResult:
        """Segment a sample.

        Args:
            model: that is to do it.
            sample: whose image has as many channels as the model takes.
            probabilities: whether they are wanted.
            timeout_s: how long the caller will wait. Work whose time is up before its turn has
                come is never run.
            priority: larger goes first.

        Raises:
            DeadlineExceededError: if the answer did not come in time.
            InferenceError: if the model failed.
        """
        asked_s = self._clock()
        key = LaneKey(model, probabilities)
        if sample.mask.size <= _QUICK_PIXELS:
            parts = self._plan(model, sample)
        else:
            parts = await asyncio.to_thread(self._plan, model, sample)
        classes = len(model.runtime.manifest.classes) if probabilities else None
        if not parts:
            self._count(model)
            return JobResult(blank(sample.size, classes), 0.0, 0.0, 0)
        loop = asyncio.get_running_loop()
        job = Job(key, sample, asked_s, loop, loop.create_future())
        whole = Window(0, 0, *sample.size)
        if parts != [Part(whole, whole)]:
            job.whole = blank(sample.size, classes)
        deadline_s = None if timeout_s is None else asked_s + timeout_s
        job.windows = _line_up(job, parts, deadline_s, priority)
        self._dispatcher.submit(job)
        try:
            if timeout_s is None:
                result = await job.done
            else:
                async with asyncio.timeout(timeout_s):
                    result = await job.done
        except TimeoutError:
            raise DeadlineExceededError(
                f"the answer must come within timeout_s; {timeout_s:g} s were not enough"
            ) from None
        finally:
            if not job.done.done() or job.done.cancelled():
                self._dispatcher.cancel(job)
        self._count(model)
        return result

    def close(self) -> None:
        """Finish what is running and take nothing more."""
        self._dispatcher.close()

    def _count(self, model: ServedModel) -> None:
        self._dispatcher.tally.count_image(model.name, model.version)

    def _plan(self, model: ServedModel, sample: Sample) -> list[Part]:
        if not model.contract.holds:
            # Cutting would change what such a model answers.
            whole = Window(0, 0, *sample.size)
            return [Part(whole, whole)] if sample.mask.any() else []
        tiling = model.tile(self._policy.window_pixels)
        idle = self._dispatcher.idle_workers
        return plan_windows(sample.mask, tiling, model.predict_s, max(idle, 1))


def _line_up(
    job: Job, parts: Sequence[Part], deadline_s: float | None, priority: int
) -> list[QueuedWindow]:
    """Make the windows of a job wait in the lanes of their buckets, each at its due time."""
    model = job.key.model
    costs_s = [model.predict_s(part.cut.height, part.cut.width) for part in parts]
    due = compute_due_times(job.asked_s, costs_s)
    return [
        QueuedWindow(
            lane=Lane(
                job.key,
                model.choose_bucket(part.cut.height, part.cut.width),
                may_pad=model.contract.holds,
            ),
            due_s=due_s,
            arrived_s=job.asked_s,
            deadline_s=deadline_s,
            priority=priority,
            payload=Task(job, part, cost_s),
        )
        for part, cost_s, due_s in zip(parts, costs_s, due, strict=True)
    ]
