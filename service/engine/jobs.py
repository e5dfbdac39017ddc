"""A request's work while it is with the engine: its windows, and the answer they add up to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lacuna.sample import Sample, Segmentation
from service.core.lanes import QueuedWindow
from service.core.windows import Part, paste
from service.engine.served import ServedModel


class LaneKey(NamedTuple):
    """What windows must have in common to share a call, but for their size.

    Attributes:
        model: that runs them.
        probabilities: whether they are wanted.
    """

    model: ServedModel
    probabilities: bool


@dataclass(frozen=True)
class JobResult:
    """An answer and what it took.

    Attributes:
        segmentation: of the whole sample.
        queue_s: seconds from the call until work on its first window began.
        infer_s: seconds from then until the last was done.
        computed_pixels: that the model saw for it, padding and halos included.
    """

    segmentation: Segmentation
    queue_s: float
    infer_s: float
    computed_pixels: int


@dataclass(eq=False)
class Job:
    """One sample on its way through the workers.

    Windows are filled in by worker threads, each in a place of its own; everything else is decided
    under the dispatcher's lock or on the event loop.

    Attributes:
        key: of the lanes that its windows wait in.
        sample: to be segmented.
        asked_s: when it came.
        loop: on which its caller waits.
        done: the caller's future.
        windows: of the sample, as they wait.
        missing: how many have not come back.
        began_s: when the first of them was begun.
        computed_pixels: so far.
        whole: the answer so far; None until it has come, if it comes in one piece.
        error: what went wrong with one of them.
    """

    key: LaneKey
    sample: Sample
    asked_s: float
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[JobResult]
    windows: Sequence[QueuedWindow] = ()
    missing: int = 0
    began_s: float | None = None
    computed_pixels: int = 0
    whole: Segmentation | None = None
    error: Exception | None = field(default=None, repr=False)

    def accept(self, part: Part, answer: Segmentation) -> None:
        """Put the answer for one window in its place.

        Args:
            part: of the sample.
            answer: of the size of the part's cut.
        """
        if self.whole is None:
            self.whole = answer
        else:
            paste(self.whole, part, answer)

    def settle(self, now_s: float) -> None:
        """Tell the caller. On the event loop only."""
        if self.done.done():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
            return
        if self.whole is None or self.began_s is None:
            raise ValueError("a job is settled once its windows have come back; none has")
        self.done.set_result(
            JobResult(
                self.whole, self.began_s - self.asked_s, now_s - self.began_s, self.computed_pixels
            )
        )


class Task(NamedTuple):
    """What a waiting window stands for.

    Attributes:
        job: it belongs to.
        part: of the job's sample.
        cost_s: predicted seconds of one worker.
    """

    job: Job
    part: Part
    cost_s: float
