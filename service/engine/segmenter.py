"""Segmentation of one sample: from the sample to its result, through the batches of the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lacuna.errors import DeadlineExceededError
from lacuna.sample import Sample
from lacuna.windows.tiling import Tiling, plan_windows
from lacuna.windows.window import Tile, Window, make_empty
from service.core.batching import BatchPolicy, compute_due_times
from service.core.cutting import cut_image
from service.core.lanes import Lane, QueuedWindow
from service.core.makespan import predict_makespan
from service.core.placement import Part
from service.engine.dispatcher import Dispatcher
from service.engine.execution import Clock
from service.engine.jobs import BatchKey, Job, JobResult, Task
from service.engine.progress import Progress
from service.engine.served import ServedModel

_INLINE_PIXELS = 256 * 256
"""Largest H · W of an image for which planning on the event loop is faster than on a thread."""


def ignore() -> None:
    """Do nothing, where no callback is wanted."""


@dataclass(frozen=True)
class EnginePolicy:
    """Settings of the engine.

    Attributes:
        workers: Number of concurrent batches.
        window_pixels: Largest H · W of a window; larger images are tiled. A running window takes
            some hundred bytes per pixel.
        batch: Limits on batches.
    """

    workers: int = 1
    window_pixels: int = Tiling.max_pixels
    batch: BatchPolicy = field(default_factory=BatchPolicy)


class Segmenter:
    """Segmenter that runs models on samples, on threads beside the event loop.

    Args:
        policy: Settings of the engine.
        clock: Clock in seconds.
    """

    def __init__(
        self, policy: EnginePolicy | None = None, clock: Clock = time.perf_counter
    ) -> None:
        self._policy = policy or EnginePolicy()
        self._clock = clock
        self._dispatcher = Dispatcher(self._policy.batch, self._policy.workers, clock)

    @property
    def dispatcher(self) -> Dispatcher:
        """Dispatcher of the windows."""
        return self._dispatcher

    @property
    def window_pixels(self) -> int:
        """Largest H · W of a window."""
        return self._policy.window_pixels

    async def segment(
        self,
        model: ServedModel,
        sample: Sample,
        *,
        probabilities: bool = False,
        timeout_s: float | None = None,
        priority: int = 0,
        client: str = "",
        keep: Window | None = None,
        progress: Progress | None = None,
        on_queued: Callable[[], None] = ignore,
    ) -> JobResult:
        """Segment a sample.

        Args:
            model: Model to run.
            sample: Sample whose image has the number of channels that the model takes.
            probabilities: True to compute probabilities as well.
            timeout_s: Timeout in seconds from now, planning included; None for none. Windows that
                have not begun by then are never run.
            priority: Priority among the samples of the client; higher runs first.
            client: Client whose turn the work takes; empty if unknown.
            keep: Window that is segmented; None for all. The rest of the sample is only seen, and
                is 255 in the result.
            progress: Progress that the windows are counted in; None for none.
            on_queued: Callback once the work is in the queue, or there is none.

        Raises:
            DeadlineExceededError: if the result does not arrive in time.
            InferenceError: if the model fails.
        """
        submitted_s = self._clock()
        loop = asyncio.get_running_loop()
        # On the loop's clock. Planning is part of the time, though a thread that plans ends first.
        end_s = None if timeout_s is None else loop.time() + timeout_s
        key = BatchKey(model, probabilities)
        if sample.mask.size <= _INLINE_PIXELS:
            parts = self._plan(model, sample, keep)
        else:
            parts = await asyncio.to_thread(self._plan, model, sample, keep)
        classes = len(model.runtime.manifest.classes) if probabilities else None
        if not parts:
            on_queued()
            self._count(model)
            return JobResult(make_empty(sample.size, classes), 0.0, 0.0, 0)
        job = Job(key, sample, submitted_s, loop, loop.create_future())
        whole = Window(0, 0, *sample.size)
        if [part.output for part in parts] != [whole]:
            job.segmentation = make_empty(sample.size, classes)
        deadline_s = None if timeout_s is None else submitted_s + timeout_s
        job.windows = _make_windows(job, parts, deadline_s, priority, client)
        self._dispatcher.submit(job)
        if progress is not None:
            progress.add(job)
        on_queued()
        try:
            if end_s is None:
                result = await job.future
            else:
                async with asyncio.timeout_at(end_s):
                    result = await job.future
        except TimeoutError:
            raise DeadlineExceededError(
                f"the answer must arrive within timeout_s; {timeout_s:g} s are over"
            ) from None
        finally:
            if not job.future.done() or job.future.cancelled():
                self._dispatcher.cancel(job)
            job.forget_windows()
        self._count(model)
        return result

    def close(self) -> None:
        """Finish the running batches, and begin no new ones."""
        self._dispatcher.close()

    def _count(self, model: ServedModel) -> None:
        self._dispatcher.counters.count_image(model.name, model.version)

    def _plan(self, model: ServedModel, sample: Sample, keep: Window | None) -> list[Part]:
        if not model.contract.holds:
            return _place(model, self._cut(model, sample, keep))
        tiling = model.make_tiling(self._policy.window_pixels)
        workers = max(self._dispatcher.idle_workers, 1)
        tiles = plan_windows(sample.mask, tiling, model.price_tile, workers, keep)
        parts = _place(model, tiles)
        if keep is not None:
            return parts
        costs_s = (model.price(part.placement.canvas) for part in parts)
        below_s = predict_makespan(costs_s, workers)
        return model.place_on_strips(sample, tiling, below_s, workers) or parts

    def _cut(self, model: ServedModel, sample: Sample, keep: Window | None) -> list[Tile]:
        """Cut a sample for a model whose answers depend on the cut, if it must be."""
        whole = Window(0, 0, *sample.size)
        cut = model.choose_cut(self.window_pixels)
        has_size = model.runtime.manifest.tiles is not None
        if cut is None or not (has_size or sample.mask.size > self.window_pixels):
            return [Tile(whole, keep or whole)] if sample.mask.any() else []
        tiles = cut_image(sample.size, cut, keep)
        return [tile for tile in tiles if sample.mask[tile.output.slices].any()]


def _place(model: ServedModel, tiles: Sequence[Tile]) -> list[Part]:
    return [Part(tile.output, model.place(tile)) for tile in tiles]


def _make_windows(
    job: Job, parts: Sequence[Part], deadline_s: float | None, priority: int, client: str
) -> list[QueuedWindow]:
    """Make the windows of a job, each with the lane of its bucket and its due time.

    The longest are due first, so that no worker begins one when the others are done.
    """
    model = job.key.model
    costed = [(model.predict_s(part.placement.canvas), part) for part in parts]
    costed.sort(key=lambda each: each[0], reverse=True)
    due = compute_due_times(job.submitted_s, [cost_s for cost_s, _ in costed])
    return [
        QueuedWindow(
            lane=Lane(
                job.key if model.contract.may_batch else job.key._replace(single=object()),
                canvas.size,
                may_pad=model.contract.holds and canvas.keep is None and canvas.strips is None,
                keep=canvas.keep,
                strips=canvas.strips,
            ),
            due_s=due_s,
            arrived_s=job.submitted_s,
            cost_s=cost_s,
            client=client,
            deadline_s=deadline_s,
            priority=priority,
            payload=Task(job, output, placement),
        )
        for (cost_s, (output, placement)), due_s in zip(costed, due, strict=True)
        for canvas in (placement.canvas,)
    ]
