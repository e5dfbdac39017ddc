"""Running a model through its ladder before it serves, and learning what its calls cost.

A runtime prepares itself for each shape that it meets for the first time, and keeps what it has
prepared: some milliseconds and a megabyte. Here this happens before anybody waits for it, and
before anybody looks how much memory the server takes. Squares are timed, while every worker is
busy, since that is when their cost decides anything; all other windows are run once.
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
        height: H in pixels.
        width: W in pixels.
    """

    images: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """N · H · W."""
        return self.images * self.height * self.width


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
            call, and every window of two of these sides alone. Other shapes take some milliseconds
            more when they first come.
        window_pixels: the largest window, which is run as well.
    """

    workers: int = 1
    batch: BatchPolicy = field(default_factory=BatchPolicy)
    pixels: int = BatchPolicy.max_pixels
    window_pixels: int = 1_300_000


def plan_squares(ladder: Ladder, policy: WarmupPolicy) -> list[Call]:
    """List the calls that are timed, smallest first.

    Args:
        ladder: of the model.
        policy: how far it is warmed.

    Returns:
        At least two calls of different numbers of pixels: with fewer, no cost could be fitted.
    """
    largest = max(math.isqrt(policy.window_pixels) // ladder.multiple, 2) * ladder.multiple
    sides = ladder.rungs(min(math.isqrt(policy.pixels), largest))
    calls = {_square(1, ladder.multiple), _square(1, largest)}
    calls |= {
        _square(count, side)
        for side in sides
        for count in policy.batch.sizes
        if count * side**2 <= min(policy.pixels, policy.batch.max_pixels)
    }
    # Between the ladder's end and the largest window, so that the cost is no line through two.
    calls |= {_square(1, side) for side in (384, 512) if max(sides, default=0) < side < largest}
    return sorted(calls, key=lambda call: call.pixels)


def plan_rectangles(ladder: Ladder, policy: WarmupPolicy) -> list[Call]:
    """List the calls that are run once, largest first: so the workers end together.

    Args:
        ladder: of the model.
        policy: how far it is warmed.
    """
    sides = ladder.rungs(math.isqrt(policy.pixels))
    calls = [
        Call(1, height, width)
        for height in sides
        for width in sides
        if height != width and height * width <= min(policy.pixels, policy.window_pixels)
    ]
    return sorted(calls, key=lambda call: call.pixels, reverse=True)


def _square(images: int, side: int) -> Call:
    return Call(images, side, side)


def warm_up(
    runtime: Runtime,
    timed: Sequence[Call],
    others: Sequence[Call] = (),
    workers: int = 1,
    on_progress: Progress = _tell_nobody,
    runs: int = TIMED_RUNS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measurement]:
    """Run calls, and time them.

    Args:
        runtime: the model.
        timed: run by each of the workers at once.
        others: run once, by whichever worker is free.
        workers: how many threads there are.
        on_progress: told after each call; ends it all by raising.
        runs: of each timed call. The first prepares and takes longer: of one run the time means
            nothing.
        clock: gives the time in seconds.

    Returns:
        Pixels and seconds of each timed call, once for each worker.

    Raises:
        InferenceError: if the model fails.
    """
    measured: list[Measurement] = []
    total = len(timed) + len(others)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="warm")
    try:
        for done, call in enumerate(timed, 1):
            futures = [pool.submit(_time_call, runtime, call, runs, clock) for _ in range(workers)]
            measured += [(call.pixels, future.result()) for future in futures]
            on_progress(done, total)
        once = [pool.submit(_time_call, runtime, call, 1, clock) for call in others]
        for done, future in enumerate(once, len(timed) + 1):
            future.result()
            on_progress(done, total)
    finally:
        pool.shutdown(cancel_futures=True)
    return measured


def _time_call(runtime: Runtime, call: Call, runs: int, clock: Callable[[], float]) -> float:
    shape = (call.images, call.height, call.width)
    images = np.zeros((*shape, runtime.manifest.image.channels), np.float32)
    masks = np.ones(shape, np.bool_)
    times = []
    for _ in range(min(runs, 2) if call.pixels > _FEW_RUNS_PIXELS else runs):
        began_s = clock()
        runtime.run(images, masks, probabilities=False)
        times.append(clock() - began_s)
    return min(times)
