"""Warm-up of a model before it serves, and measurement of the cost of its calls.

A runtime prepares itself for each shape when it first meets it. This takes some milliseconds and a
megabyte that it keeps. The warm-up does this for the most frequent shapes before the first request:
squares, alone and in their largest batches. Rectangles are too many: all of them would take longer
than everything else before the server is ready. Some squares are timed while all workers are busy,
because only then does their cost decide anything. Batches cost what their pixels cost, so they are
run once. Of a model that can keep a window, two canvases are timed as well, which tells what a
pixel costs that is only seen, and of a model that computes strips two full squares. A model that
was timed before runs every shape once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lacuna.windows.strips import count_strip_pixels
from lacuna.windows.window import Window
from service.core.batching import BatchPolicy
from service.core.buckets import Ladder
from service.core.cost import BatchCost
from service.runtime.protocol import Runtime

TIMED_RUNS = 3
"""Runs of a small timed call. The first one includes the preparation of its shape."""
_FEWER_RUNS = ((2**16, 2), (2**18, 1))
"""Calls of more than so many pixels n · H · W are run so often: they take long and vary little. Of
the longest calls, preparation is a small part."""
_KEPT = (2, 6)
"""Sides of the timed windows, in halos."""
_STRIPS_SIDE = 48
"""Side of the larger square that is timed on strips, in cells of the total stride, unless it is
more than a call may have. The other one has a third of it."""
_LEAST_STRIPS_SIDE = 6
"""Side in cells below which no square is timed on strips, so that none is computed on them."""
_LARGEST_SIDE = 512
"""Largest side of a timed square. Beyond it, the cost of a pixel does not depend on the side."""
_TIMED_GROWTH = 1.5
"""Least ratio of the sides of two timed squares."""


class WarmupCall(NamedTuple):
    """Shape of a warm-up call.

    Attributes:
        images: Number of images N.
        height: Height H in pixels.
        width: Width W in pixels.
        keep: Window that is kept; None for all.
        strips: Number of pixels of the strips that are computed; None if it is not on strips.
    """

    images: int
    height: int
    width: int
    keep: Window | None = None
    strips: int | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels N · H · W."""
        return self.images * self.height * self.width

    @property
    def kept_pixels(self) -> int:
        """Number of pixels that are kept."""
        if self.keep is None:
            return self.pixels
        return self.images * self.keep.height * self.keep.width


TimedCall = tuple[WarmupCall, float]
"""Call and its seconds."""

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
        pixels: Largest n · H · W of a warm-up call that is not timed. Every square of the ladder
            runs alone and in its largest batch. Other shapes take some milliseconds longer the
            first time.
        window_pixels: Largest H · W of a window.
    """

    workers: int = 1
    batch: BatchPolicy = field(default_factory=BatchPolicy)
    pixels: int = BatchPolicy.max_pixels
    window_pixels: int = 1_300_000


def plan_timed(
    ladder: Ladder, policy: WarmupPolicy, halo: int = 0, can_skip: bool = False
) -> list[WarmupCall]:
    """List the calls to time, smallest first: one square image of every other size.

    Args:
        ladder: Ladder of the model.
        policy: Extent of the warm-up.
        halo: Halo of the windows that the model can keep, in pixels; 0 if it cannot keep any.
        can_skip: True if the model computes strips.

    Returns:
        Calls of at least two different numbers of pixels, which the fit of the cost needs.
    """
    limit = min(math.isqrt(policy.window_pixels), _LARGEST_SIDE)
    largest = max(limit // ladder.multiple, 2) * ladder.multiple
    sides = [ladder.multiple]
    for side in ladder.rungs(math.isqrt(policy.pixels)):
        if sides[-1] * _TIMED_GROWTH <= side < largest:
            sides.append(side)
    whole = [_square(1, side) for side in [*sides, largest]]
    kept = [_frame(ladder.choose_side(times * halo), halo) for times in _KEPT] if halo else []
    strips = _plan_strips(limit // ladder.multiple, ladder) if can_skip else []
    return whole + [call for call in kept if call.pixels <= policy.window_pixels] + strips


def plan_others(ladder: Ladder, policy: WarmupPolicy) -> list[WarmupCall]:
    """List the calls to run once, largest first so that the workers finish together.

    Args:
        ladder: Ladder of the model.
        policy: Extent of the warm-up.
    """
    sides = ladder.rungs(math.isqrt(min(policy.pixels, policy.window_pixels)))
    calls = {
        _square(count, side)
        for side in sides
        for count in (1, policy.batch.choose_sizes((side, side))[-1])
        if count * side**2 <= policy.pixels
    }
    return sorted(calls, key=lambda call: (call.pixels, call), reverse=True)


def _square(images: int, side: int) -> WarmupCall:
    return WarmupCall(images, side, side)


def _frame(side: int, halo: int) -> WarmupCall:
    """Return the call that keeps a square with a halo around it."""
    length = side + 2 * halo
    return WarmupCall(1, length, length, Window(halo, halo, side, side))


def _plan_strips(most_cells: int, ladder: Ladder) -> list[WarmupCall]:
    """Return two squares on strips, since the fit of their cost needs two; none if few fit."""
    cells = min(_STRIPS_SIDE, most_cells)
    if cells < _LEAST_STRIPS_SIDE:
        return []
    return [_lay_strips(side * ladder.multiple, ladder) for side in (cells // 3, cells)]


def _lay_strips(side: int, ladder: Ladder) -> WarmupCall:
    """Return the call that computes a square on strips."""
    strips = count_strip_pixels(np.ones((side, side), np.bool_), ladder.multiple)
    return WarmupCall(1, side, side, strips=strips)


def fit_cost(measured: Sequence[TimedCall]) -> BatchCost:
    """Fit the cost of a model's calls to what was measured."""
    whole = [
        (call.pixels, seconds)
        for call, seconds in measured
        if call.keep is None and call.strips is None
    ]
    kept = [
        (call.kept_pixels, call.pixels - call.kept_pixels, seconds)
        for call, seconds in measured
        if call.keep is not None
    ]
    on_strips = [(call.strips, seconds) for call, seconds in measured if call.strips is not None]
    return BatchCost.fit(whole).fit_halo(kept).fit_strips(on_strips)


def warm_up(
    runtime: Runtime,
    timed: Sequence[WarmupCall],
    others: Sequence[WarmupCall] = (),
    workers: int = 1,
    on_progress: Progress = _ignore_progress,
    runs: int = TIMED_RUNS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[TimedCall]:
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
        Each timed call and its seconds, one measurement per worker.

    Raises:
        InferenceError: if the model fails.
    """
    measured: list[TimedCall] = []
    total = len(timed) + len(others)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="warm")
    try:
        for done, call in enumerate(timed, 1):
            futures = [pool.submit(_time_call, runtime, call, runs, clock) for _ in range(workers)]
            measured += [(call, future.result()) for future in futures]
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
        options = {"keep": call.keep} if call.strips is None else {"on_strips": True}
        runtime.run(images, masks, probabilities=False, **options)
        times.append(clock() - began_s)
    return min(times)


def _limit_runs(runs: int, pixels: int) -> int:
    return min([runs, *(fewer for limit, fewer in _FEWER_RUNS if pixels > limit)])
