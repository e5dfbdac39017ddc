"""Jobs: requests in the engine, each with its windows and the answer assembled from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lacuna.sample import Sample, Segmentation
from lacuna.windows.window import Window, paste
from service.core.lanes import QueuedWindow
from service.core.placement import Placement
from service.engine.served import ServedModel


class BatchKey(NamedTuple):
    """Properties that windows must share, besides their bucket, to run in one call.

    Attributes:
        model: Model that runs them.
        probabilities: True if probabilities are computed.
        single: Anything unique, for a window that must run alone; None for others.
    """

    model: ServedModel
    probabilities: bool
    single: object = None


@dataclass(frozen=True)
class JobResult:
    """Segmentation of a sample, and what it took.

    Attributes:
        segmentation: Segmentation of the whole sample.
        queue_s: Seconds from the submission until a worker began the first window.
        infer_s: Seconds from then until the last window was done.
        computed_pixels: Number of pixels that the model computed, including padding and halos.
    """

    segmentation: Segmentation
    queue_s: float
    infer_s: float
    computed_pixels: int


@dataclass(eq=False)
class Job:
    """Sample in the engine.

    Worker threads copy the outputs of windows, each to its own place. All other fields change under
    the dispatcher's lock or on the event loop.

    Attributes:
        key: Properties that its windows have in common.
        sample: Sample to segment.
        submitted_s: Time of submission, in seconds.
        loop: Event loop of the caller.
        future: Future that the caller awaits.
        windows: Windows of the sample.
        remaining: Number of windows that are not finished.
        began_s: Time at which the first window began, in seconds; None before.
        computed_pixels: Number of pixels that have been computed.
        segmentation: Segmentation of the sample so far. None until a result arrives, if the sample
            is one window.
        error: First error of a window; None if there is none.
    """

    key: BatchKey
    sample: Sample
    submitted_s: float
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[JobResult]
    windows: Sequence[QueuedWindow] = ()
    remaining: int = 0
    began_s: float | None = None
    computed_pixels: int = 0
    segmentation: Segmentation | None = None
    error: Exception | None = field(default=None, repr=False)

    def place(self, output: Window, answer: Segmentation) -> None:
        """Copy the output of one window to its place.

        Args:
            output: Output window of a tile of the sample.
            answer: Its segmentation.
        """
        if self.segmentation is None:
            self.segmentation = answer
        else:
            paste(self.segmentation, output, answer)

    def resolve(self, now_s: float) -> None:
        """Resolve the caller's future. Must be called on the event loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
            return
        if self.segmentation is None or self.began_s is None:
            raise ValueError("a job must have a finished window to be resolved; it has none")
        self.future.set_result(
            JobResult(
                self.segmentation,
                self.began_s - self.submitted_s,
                now_s - self.began_s,
                self.computed_pixels,
            )
        )

    def forget_windows(self) -> None:
        """Forget the windows, once none of them is queued.

        They refer to the job. Without this, its images would stay in memory until the garbage
        collector looks for cycles.
        """
        self.windows = ()


class Task(NamedTuple):
    """Payload of a queued window.

    Attributes:
        job: Job that the window belongs to.
        output: Output window of a tile of the job's sample.
        placement: Place of the tile on the canvas of its lane.
    """

    job: Job
    output: Window
    placement: Placement
