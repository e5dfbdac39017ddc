"""Segmentation of samples with a model: arrays in, arrays out, with counts and timings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lacuna.sample import Sample, Segmentation
from service.core.statistics import PixelCounts
from service.engine.jobs import JobResult
from service.engine.progress import Progress
from service.engine.segmenter import Segmenter, ignore
from service.engine.served import ServedModel


@dataclass(frozen=True)
class SegmentOptions:
    """Options of a segmentation.

    Attributes:
        probabilities: True to compute probabilities beside the labels.
        timeout_s: Timeout in seconds; None for none.
        priority: Priority among the calls of the client; higher runs first, 0 is the default.
        client: Client whose turn the work takes; empty if unknown.
        progress: Progress that the windows are counted in; None for none.
    """

    probabilities: bool = False
    timeout_s: float | None = None
    priority: int = 0
    client: str = ""
    progress: Progress | None = None


@dataclass(frozen=True)
class Segmented:
    """Segmentations of samples, with counts and timings.

    Attributes:
        segmentations: Segmentation of each sample, in order.
        pixels: Numbers of pixels of all samples.
        queue_s: Seconds until work on the first sample with a valid pixel began; 0 if none has one.
        infer_s: Seconds from then until the last sample was done.
    """

    segmentations: Sequence[Segmentation]
    pixels: PixelCounts
    queue_s: float
    infer_s: float


@dataclass(frozen=True)
class Pipeline:
    """Pipeline that segments the samples of one call concurrently.

    Attributes:
        segmenter: Segmenter that runs the models.
    """

    segmenter: Segmenter

    async def segment(
        self,
        model: ServedModel,
        samples: Sequence[Sample],
        options: SegmentOptions,
        on_queued: Callable[[], None] = ignore,
    ) -> Segmented:
        """Segment samples with a model. If one fails, the others are cancelled.

        Args:
            model: Model to run, leased for the duration of the call.
            samples: At least one sample, of any sizes.
            options: Options of the segmentation.
            on_queued: Callback once the work on all samples is in the queue.

        Raises:
            DeadlineExceededError: if the results do not arrive in time.
            LacunaError: if the model fails.
        """
        results = await self._run_all(model, samples, options, on_queued)
        # An image without a valid pixel is never in the queue.
        queue_s = min([result.queue_s for result in results if result.computed_pixels], default=0.0)
        return Segmented(
            [result.segmentation for result in results],
            PixelCounts(
                image=sum([sample.mask.size for sample in samples]),
                valid=sum([sample.valid_pixels for sample in samples]),
                computed=sum([result.computed_pixels for result in results]),
            ),
            queue_s,
            max([result.queue_s + result.infer_s for result in results]) - queue_s,
        )

    async def _run_all(
        self,
        model: ServedModel,
        samples: Sequence[Sample],
        options: SegmentOptions,
        on_queued: Callable[[], None],
    ) -> list[JobResult]:
        segment = partial(
            self.segmenter.segment,
            model,
            probabilities=options.probabilities,
            timeout_s=options.timeout_s,
            priority=options.priority,
            client=options.client,
            progress=options.progress,
        )
        if len(samples) == 1:
            return [await segment(samples[0], on_queued=on_queued)]
        left = len(samples)

        def count_queued() -> None:
            nonlocal left
            left -= 1
            if not left:
                on_queued()

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(segment(sample, on_queued=count_queued)) for sample in samples
                ]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]
