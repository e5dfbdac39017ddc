"""How a plain loop uses the machine best, found by trying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from benchmarks.contestants import RawLoop
from service.bench.workload import Workload

WARMUP_S = 1.0
MAX_BATCH_PIXELS = 2 * 1024 * 1024
MAX_BATCH = 64


class Layout(NamedTuple):
    """How the loop uses the machine.

    Attributes:
        threads: of TensorFlow for a call.
        workers: calls at once.
        batch: images of a call.
    """

    threads: int
    workers: int
    batch: int


def find_best_layout(
    loops: Mapping[int, RawLoop], name: str, workload: Workload, cores: int
) -> Layout:
    """Find the layout in which a loop is fastest, and leave it with the images drawn and warm.

    Args:
        loops: by how many threads a call of theirs takes.
        name: of the workload.
        workload: its images.
        cores: of the machine; so many calls at once are tried, and one.
    """
    rates: dict[Layout, float] = {}
    for threads, loop in loops.items():
        loop.draw(name, workload)
        for workers in sorted({1, cores}):
            best = 0.0
            for batch in list_batches(workload):
                loop.warm(name, batch)
                rate = loop.measure(name, workers, batch, 0.5, 0.1)["megapixels_per_s"]
                rates[Layout(threads, workers, batch)] = rate
                best = max(best, rate)
                if rate < 0.9 * best:
                    break
    finalists = sorted(rates, key=lambda layout: rates[layout])[-3:]
    return max(
        finalists,
        key=lambda layout: measure_layout(loops, name, layout, 1.5)["megapixels_per_s"],
    )


def measure_layout(
    loops: Mapping[int, RawLoop], name: str, layout: Layout, seconds: float
) -> dict[str, float]:
    """Measure a loop in a layout."""
    loop = loops[layout.threads]
    return loop.measure(name, layout.workers, layout.batch, seconds, WARMUP_S)


def list_batches(workload: Workload) -> Iterator[int]:
    """List the batches worth trying: powers of two; one alone where images differ in size."""
    yield 1
    (sizes,) = workload.sizes
    if sizes.low != sizes.high:
        return
    most = min(MAX_BATCH_PIXELS // (sizes.low[0] * sizes.low[1]), workload.images, MAX_BATCH)
    batch = 2
    while batch <= most:
        yield batch
        batch *= 2
