"""The use case: a sample goes in, its segmentation comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.core.buckets import Ladder, assemble
from service.core.sample import Sample, Segmentation
from service.core.windows import Window, cut, plan_windows, stitch
from service.engine.repository import ServedModel
from service.errors import DeadlineExceededError


@dataclass(frozen=True)
class Result:
    """An answer and how long it took.

    Attributes:
        segmentation: of the whole sample.
        queue_s: seconds from the call until work on it began.
        infer_s: seconds of work, all windows together.
    """

    segmentation: Segmentation
    queue_s: float
    infer_s: float


class Segmenter:
    """Runs models, one sample at a time and never on the event loop.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="infer")

    async def segment(
        self,
        model: ServedModel,
        sample: Sample,
        *,
        probabilities: bool = False,
        timeout_s: float | None = None,
    ) -> Result:
        """Segment a sample.

        Args:
            model: that is to do it.
            sample: whose image has as many channels as the model takes.
            probabilities: whether they are wanted.
            timeout_s: how long the caller will wait. A sample whose time is up before its turn has
                come is never run.

        Raises:
            DeadlineExceededError: if the answer did not come in time.
            InferenceError: if the model failed.
        """
        asked = self._clock()

        def work() -> Result:
            began = self._clock()
            segmentation = _segment(model, sample, probabilities)
            return Result(segmentation, began - asked, self._clock() - began)

        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except TimeoutError:
            raise DeadlineExceededError(
                f"the answer must come within timeout_s; {timeout_s:g} s were not enough"
            ) from None

    def close(self) -> None:
        """Finish what has begun and take nothing more."""
        self._worker.shutdown(wait=True, cancel_futures=True)


def _segment(model: ServedModel, sample: Sample, probabilities: bool) -> Segmentation:
    manifest = model.runtime.manifest
    windows = plan_windows(sample, manifest.total_stride)
    ladder: Ladder | None = Ladder(manifest.total_stride)
    if windows and not model.contract.holds:
        # Cutting or padding would change what such a model answers.
        windows, ladder = [Window(0, 0, *sample.size)], None
    parts = [
        (window, _run(model, cut(sample, window), ladder, probabilities)) for window in windows
    ]
    return stitch(sample.size, parts, len(manifest.classes) if probabilities else None)


def _run(
    model: ServedModel, part: Sample, ladder: Ladder | None, probabilities: bool
) -> Segmentation:
    height, width = part.size
    bucket = ladder.choose_bucket(part.size) if ladder else part.size
    output = model.runtime.run(*assemble([part], bucket), probabilities=probabilities)
    return Segmentation(
        output.labels[0, :height, :width],
        None if output.probabilities is None else output.probabilities[0, :height, :width],
    )
