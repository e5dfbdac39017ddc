"""Memory of the process: what it may take, what it holds between calls, and what calls add."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lacuna.windows.tiling import Tiling
from service.engine.allocator import return_free_memory
from service.engine.memory import (
    LEAST_BYTES,
    compute_budget,
    find_memory_limit,
    read_resident_bytes,
)

_BASE_BYTES = 800_000_000
"""Memory of a server with `groundcover` after the warm-up, while no call runs."""

_PIXEL_BYTES = 730
"""Memory of a running call per pixel of its window, for the demo."""

_PRIMITIVE_BYTES = 50_000
"""Memory of a primitive that oneDNN has compiled: its code, and its descriptions in two caches."""

_CALLS = 1 / 2
_PRIMITIVES = 1 / 8
"""Parts of the memory beyond the base for running calls and for compiled primitives. The rest is
for requests."""

_LEAST_WINDOW_PIXELS = 256 * 256
"""Smaller windows would be mostly halo."""

_PRIMITIVE_COUNTS = (1024, 8192)
"""Least and largest capacity of the cache of primitives. The least is oneDNN's own default. The
demo takes twenty for each shape, so the largest is enough for four hundred shapes."""

_EXCESS_BYTES = 32 << 20
_LOOK_S = 30.0

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class MemoryPlan:
    """Sizes that follow from the memory of a server.

    Attributes:
        window_pixels: Largest H · W of a window.
        primitives: Capacity of oneDNN's cache of compiled primitives. Calls of a shape that fell
            out of it take 7 ms longer for the demo.
    """

    window_pixels: int
    primitives: int


def plan_memory(limit_bytes: int, workers: int) -> MemoryPlan:
    """Choose sizes by the memory that a server may take.

    Args:
        limit_bytes: Memory of the process, in bytes.
        workers: Number of concurrent calls.
    """
    spare_bytes = max(limit_bytes - _BASE_BYTES, 0)
    window_pixels = int(spare_bytes * _CALLS / (workers * _PIXEL_BYTES))
    primitives = int(spare_bytes * _PRIMITIVES / _PRIMITIVE_BYTES)
    least, most = _PRIMITIVE_COUNTS
    return MemoryPlan(
        min(max(window_pixels, _LEAST_WINDOW_PIXELS), Tiling.max_pixels),
        min(max(primitives, least), most),
    )


class ProcessMemory:
    """Memory of the process.

    Running calls take memory that the allocator keeps for the next ones, until it is given back. It
    is reserved for them in any case.

    Args:
        limit_bytes: Memory that the process may take; None for the container's or the machine's.
        call_pixels: Largest number of pixels of all running calls together.
        read_resident: Function that returns the resident memory of the process, in bytes.
        return_free: Function that gives free memory back to the system.
    """

    def __init__(
        self,
        limit_bytes: int | None = None,
        call_pixels: int = 0,
        read_resident: Callable[[], int] = read_resident_bytes,
        return_free: Callable[[], object] = return_free_memory,
    ) -> None:
        self._limit_bytes = find_memory_limit() if limit_bytes is None else limit_bytes
        self._call_pixels = call_pixels
        self._read_resident = read_resident
        self._return_free = return_free
        self._pixel_bytes = 0.0
        self._rest_bytes = 0
        self._is_rest_certain = True
        self._is_kept = False

    @property
    def has_excess(self) -> bool:
        """True if it is worth while to return memory to the system, now that no call runs."""
        return not self._is_rest_certain or self.excess_bytes > _EXCESS_BYTES

    @property
    def excess_bytes(self) -> int:
        """Bytes that the process has taken since it gave memory back, whether in use or free."""
        return self._read_resident() - self._rest_bytes

    @property
    def missing_bytes(self) -> int:
        """Bytes by which the idle process, its calls and the least for requests exceed the limit.

        0 if they do not, or nothing was given back yet.
        """
        if not self._rest_bytes:
            return 0
        return max(self._rest_bytes + self._calls_bytes + LEAST_BYTES - self._limit_bytes, 0)

    @property
    def _calls_bytes(self) -> int:
        return int(self._call_pixels * self._pixel_bytes)

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Return no memory meanwhile, so that what calls take can be measured. Not nested."""
        self._is_kept = True
        try:
            yield
        finally:
            self._is_kept = False

    def return_free(self) -> None:
        """Return free memory to the system, from any thread, unless it is kept."""
        if not self._is_kept:
            self._return_free()

    def give_back(self, *, is_idle: bool = True) -> None:
        """Return free memory to the system, and measure what is left, unless it is kept.

        Call it from any thread.

        Args:
            is_idle: False if requests may be pending. What they hold then counts as memory of the
                idle process, until memory is given back once more.
        """
        if self._is_kept:
            return
        self._return_free()
        self._rest_bytes = self._read_resident()
        self._is_rest_certain = is_idle

    def reserve(self, pixel_bytes: float) -> None:
        """Reserve memory for the calls of a model.

        Args:
            pixel_bytes: Bytes that its calls take per pixel. The largest of all models counts.
        """
        self._pixel_bytes = max(self._pixel_bytes, pixel_bytes)

    def measure_free_bytes(self) -> int:
        """Measure the memory that requests may use, in bytes."""
        taken_bytes = max(self._read_resident(), self._rest_bytes + self._calls_bytes)
        return compute_budget(self._limit_bytes, taken_bytes)


async def watch_memory(
    memory: ProcessMemory, is_idle: Callable[[], bool], sleep: Sleep = asyncio.sleep
) -> None:
    """Return memory to the system whenever the server has become idle, until cancelled.

    Args:
        memory: Memory of the process.
        is_idle: Function that returns True if no request is pending. Only if it does so twice in a
            row is the server idle, not merely between two requests.
        sleep: Function that waits for a number of seconds.
    """
    was_idle = False
    while True:
        await sleep(_LOOK_S)
        idle, was_idle = was_idle, is_idle()
        if idle and was_idle and memory.has_excess:
            await asyncio.to_thread(memory.give_back)
