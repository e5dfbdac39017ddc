"""Running a model through its ladder before it serves, and learning what its calls cost.

A runtime prepares itself for each shape that it meets for the first time, on each of its threads.
Here this happens before anybody waits for it. Calls are timed while every worker is busy, since
that is when their cost decides anything.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from service.core.batching import BatchPolicy
from service.core.buckets import Ladder
from service.core.cost import Measurement
from service.runtime.protocol import Runtime

TIMED_RUNS = 3
_FEW_RUNS_PIXELS = 2**18
"""Calls of more pixels are run twice at most: their time varies little, and there is much of it."""


class Call(NamedTuple):
    """A shape to warm.

    Attributes:
        images: N.
        side: H and W in pixels.
    """

    images: int
    side: int

    @property
    def pixels(self) -> int:
        """N · H · W."""
        return self.images * self.side**2


Progress = Callable[[int, int], None]
"""Told how many calls are done, and of how many."""


def _tell_nobody(done: int, total: int) -> None:
    del done, total


@dataclass(frozen=True)
class WarmupPolicy:
    """How far a model is warmed.

    Attributes:
        workers: how many calls run at once.
        batch: whose sizes are run.
        pixels: every square of the ladder with every batch size is run up to so many pixels in a
            call. Other shapes take some milliseconds more when they first come.
        window_pixels: the largest window, which is run as well.
    """

    workers: int = 1
    batch: BatchPolicy = field(default_factory=BatchPolicy)
    pixels: int = BatchPolicy.max_pixels
    window_pixels: int = 1_300_000


def plan_warmup(ladder: Ladder, policy: WarmupPolicy) -> list[Call]:
    """List the calls of a warm-up, smallest first.

    Args:
        ladder: of the model.
        policy: how far it is warmed.

    Returns:
        At least two calls of different numbers of pixels: with fewer, no cost could be fitted.
    """
    largest = max(math.isqrt(policy.window_pixels) // ladder.multiple, 2) * ladder.multiple
    sides = ladder.rungs(min(math.isqrt(policy.pixels), largest))
    calls = {Call(1, ladder.multiple), Call(1, largest)}
    calls |= {
        Call(count, side)
        for side in sides
        for count in policy.batch.sizes
        if count * side**2 <= min(policy.pixels, policy.batch.max_pixels)
    }
    # Between the ladder's end and the largest window, so that the cost is no line through two.
    calls |= {Call(1, side) for side in (384, 512) if max(sides, default=0) < side < largest}
    return sorted(calls, key=lambda call: call.pixels)


def warm_up(
    runtime: Runtime,
    calls: Sequence[Call],
    workers: int = 1,
    on_progress: Progress = _tell_nobody,
    runs: int = TIMED_RUNS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measurement]:
    """Run calls, and time them.

    Args:
        runtime: the model.
        calls: from `plan_warmup`.
        workers: how many threads run each call at once.
        on_progress: told after each call.
        runs: of each call. The first prepares and takes longer: of one run the time means nothing.
        clock: gives the time in seconds.

    Returns:
        Pixels and seconds of each call, once for each worker.

    Raises:
        InferenceError: if the model fails.
    """
    measured: list[Measurement] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="warm") as pool:
        for done, call in enumerate(calls, 1):
            futures = [pool.submit(_time_call, runtime, call, runs, clock) for _ in range(workers)]
            measured += [(call.pixels, future.result()) for future in futures]
            on_progress(done, len(calls))
    return measured


def _time_call(runtime: Runtime, call: Call, runs: int, clock: Callable[[], float]) -> float:
    shape = (call.images, call.side, call.side)
    images = np.zeros((*shape, runtime.manifest.image.channels), np.float32)
    masks = np.ones(shape, np.bool_)
    times = []
    for _ in range(min(runs, 2) if call.pixels > _FEW_RUNS_PIXELS else runs):
        began_s = clock()
        runtime.run(images, masks, probabilities=False)
        times.append(clock() - began_s)
    return min(times)
