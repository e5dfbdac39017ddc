"""Tuning of the plain loop: the settings with which it is fastest, found by trying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from benchmarks.processes import RawLoop
from service.bench.workload import Workload

WARMUP_S = 1.0
MAX_BATCH_PIXELS = 2 * 1024 * 1024
MAX_BATCH = 64


class LoopSettings(NamedTuple):
    """Settings of the plain loop.

    Attributes:
        threads: number of TensorFlow threads for a call.
        workers: number of calls at once.
        batch: number of images of a call.
    """

    threads: int
    workers: int
    batch: int


def find_best_settings(
    loops: Mapping[int, RawLoop], name: str, workload: Workload, cores: int
) -> LoopSettings:
    """Find the settings with which a loop is fastest. It is left warm, with the images drawn.

    Args:
        loops: plain loops, by the number of threads of a call.
        name: name of the workload.
        workload: images to run.
        cores: number of cores; as many calls at once are tried, and one.
    """
    rates: dict[LoopSettings, float] = {}
    for threads, loop in loops.items():
        loop.draw(name, workload)
        for workers in sorted({1, cores}):
            best = 0.0
            for batch in list_batches(workload):
                loop.warm(name, batch)
                rate = loop.measure(name, workers, batch, 0.5, 0.1)["megapixels_per_s"]
                rates[LoopSettings(threads, workers, batch)] = rate
                best = max(best, rate)
                if rate < 0.9 * best:
                    break
    finalists = sorted(rates, key=lambda settings: rates[settings])[-3:]
    return max(
        finalists,
        key=lambda settings: measure_loop(loops, name, settings, 1.5)["megapixels_per_s"],
    )


def measure_loop(
    loops: Mapping[int, RawLoop], name: str, settings: LoopSettings, seconds: float
) -> dict[str, float]:
    """Measure a loop with some settings."""
    loop = loops[settings.threads]
    return loop.measure(name, settings.workers, settings.batch, seconds, WARMUP_S)


def list_batches(workload: Workload) -> Iterator[int]:
    """List the batch sizes worth trying: powers of two, or 1 alone if the images differ in size."""
    yield 1
    (sizes,) = workload.sizes
    if sizes.low != sizes.high:
        return
    most = min(MAX_BATCH_PIXELS // (sizes.low[0] * sizes.low[1]), workload.images, MAX_BATCH)
    batch = 2
    while batch <= most:
        yield batch
        batch *= 2
