"""Warm-up of a model before it serves, and measurement of the cost of its calls.

A runtime prepares itself for each shape when it first meets it. This takes some milliseconds and a
megabyte that it keeps. The warm-up does this before the first request, and before the server's
memory is measured. Single square windows are timed while all workers are busy, because only then
does their cost decide anything. Batches cost what their pixels cost, so they and all other windows
are run once.
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
"""Runs of a small timed call. The first one includes the preparation of its shape."""
_FEWER_RUNS = ((2**16, 2), (2**18, 1))
"""Calls of more than so many pixels n · H · W are run so often: they take long and vary little. Of
the longest calls, preparation is a small part."""


class WarmupCall(NamedTuple):
    """Shape of a warm-up call.

    Attributes:
        images: Number of images N.
        height: Height H in pixels.
        width: Width W in pixels.
    """

    images: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Number of pixels N · H · W."""
        return self.images * self.height * self.width


Progress = Callable[[int, int], None]
"""Callback with the number of finished calls and the total number of calls."""


def _ignore_progress(done: int, total: int) -> None:
    del done, total


@dataclass(frozen=True)
class WarmupPolicy:
    """Extent of the warm-up.

    Attributes:
        workers: Number of concurrent calls.
        batch: Limits on batches, whose sizes are warmed up.
        pixels: Largest n · H · W of a warm-up call. Every square of the ladder runs with every
            batch size, and every rectangle of the ladder's sides runs alone. Other shapes take some
            milliseconds longer the first time.
        window_pixels: Largest H · W of a window. The largest square window runs as well.
    """

    workers: int = 1
    batch: BatchPolicy = field(default_factory=BatchPolicy)
    pixels: int = BatchPolicy.max_pixels
    window_pixels: int = 1_300_000


def plan_timed(ladder: Ladder, policy: WarmupPolicy) -> list[WarmupCall]:
    """List the calls to time, smallest first: one square image of each size.

    Args:
        ladder: Ladder of the model.
        policy: Extent of the warm-up.

    Returns:
        Calls of at least two different numbers of pixels, which the fit of the cost needs.
    """
    largest = max(math.isqrt(policy.window_pixels) // ladder.multiple, 2) * ladder.multiple
    sides = [side for side in ladder.rungs(math.isqrt(policy.pixels)) if side < largest]
    # Sides between the ladder's end and the largest window keep the fit from resting on two points.
    between = [side for side in (384, 512) if max(sides, default=0) < side < largest]
    return [_square(1, side) for side in sorted({ladder.multiple, *sides, *between, largest})]


def plan_others(ladder: Ladder, policy: WarmupPolicy) -> list[WarmupCall]:
    """List the calls to run once, largest first so that the workers finish together.

    Args:
        ladder: Ladder of the model.
        policy: Extent of the warm-up.
    """
    sides = ladder.rungs(math.isqrt(policy.pixels))
    rectangles = {
        WarmupCall(1, height, width)
        for height in sides
        for width in sides
        if height != width and height * width <= min(policy.pixels, policy.window_pixels)
    }
    batches = {
        _square(count, side)
        for side in sides
        for count in policy.batch.sizes[1:]
        if side**2 <= policy.window_pixels
        and count * side**2 <= min(policy.pixels, policy.batch.max_pixels)
    }
    return sorted(rectangles | batches, key=lambda call: (call.pixels, call), reverse=True)


def _square(images: int, side: int) -> WarmupCall:
    return WarmupCall(images, side, side)


def warm_up(
    runtime: Runtime,
    timed: Sequence[WarmupCall],
    others: Sequence[WarmupCall] = (),
    workers: int = 1,
    on_progress: Progress = _ignore_progress,
    runs: int = TIMED_RUNS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measurement]:
    """Run warm-up calls and measure their times.

    Args:
        runtime: Runtime of the model.
        timed: Calls to time; each is run by all workers at once.
        others: Calls to run once, on any worker.
        workers: Number of threads.
        on_progress: Callback after each call. It may raise to end the warm-up.
        runs: Number of runs of a timed call. The first run includes the preparation of its shape,
            so the time of a single run means nothing.
        clock: Clock in seconds.

    Returns:
        Pixels and seconds of each timed call, one measurement per worker.

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


def _time_call(runtime: Runtime, call: WarmupCall, runs: int, clock: Callable[[], float]) -> float:
    shape = (call.images, call.height, call.width)
    images = np.zeros((*shape, runtime.manifest.image.channels), np.float32)
    masks = np.ones(shape, np.bool_)
    times = []
    for _ in range(_limit_runs(runs, call.pixels)):
        began_s = clock()
        runtime.run(images, masks, probabilities=False)
        times.append(clock() - began_s)
    return min(times)


def _limit_runs(runs: int, pixels: int) -> int:
    return min([runs, *(fewer for limit, fewer in _FEWER_RUNS if pixels > limit)])
