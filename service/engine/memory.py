"""Memory that requests may use: the container's or the machine's, less what the process takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from service.core.memory import MemoryPool

_GROUPS = Path("/sys/fs/cgroup")
_PROCESS = Path("/proc/self")

_USABLE = 0.85
"""Part of the free memory that requests may use. The rest is for what is not accounted for: buffers
of connections, and what the allocator cannot reuse."""

LEAST_BYTES = 128 << 20
"""Memory for requests even if none is left, so that small ones are answered."""

_BODIES = 1 / 3
"""Part of this memory for bodies. They wait for the other part, and must not fill it."""

_SMALL = 1 / 8
"""Part of the memory for images that only small claims use."""

_SMALL_CLAIM = 1 / 8
"""Largest small claim, as a part of this part."""

_MEASURE_S = 5.0
"""Shortest time between two measurements, in seconds."""


class MemoryBudget:
    """Memory that requests may use, measured anew while no request is pending.

    A model that is loaded or unloaded changes it, and so does memory that the allocator keeps.

    Args:
        total_bytes: Memory for all requests, bodies included; None to measure it.
        max_share: Largest share for one client.
        read_free: Function that returns the memory for requests, in bytes.
        clock: Clock in seconds.

    Attributes:
        pool: Memory for images, labels and answers.
        small_pool: Part of it that only small claims use, so that they do not wait for large ones.
        body_bytes: Memory for bodies.
    """

    def __init__(
        self,
        total_bytes: int | None = None,
        max_share: float = 1.0,
        read_free: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_fixed = total_bytes is not None
        self._read_free = read_free or measure_free_bytes
        self._clock = clock
        self._measured_s = clock()
        self.pool = MemoryPool(0, max_share)
        self.small_pool = MemoryPool(0, max_share)
        self._divide(self._read_free() if total_bytes is None else total_bytes)

    @property
    def held_bytes(self) -> int:
        """Bytes that requests hold for images, labels and answers."""
        return self.pool.held_bytes + self.small_pool.held_bytes

    @property
    def image_bytes(self) -> int:
        """Bytes that requests may hold for images, labels and answers."""
        return self.pool.total_bytes + self.small_pool.total_bytes

    def choose_pool(self, claim_bytes: int, client: str = "") -> MemoryPool:
        """Return the pool for a claim of this size.

        Small claims take the common memory if their own is full, and nobody waits for the common.
        """
        if claim_bytes > self.small_pool.total_bytes * _SMALL_CLAIM:
            return self.pool
        is_full = not self.small_pool.can_grant(client, claim_bytes)
        return (
            self.pool if is_full and self.pool.can_grant(client, claim_bytes) else self.small_pool
        )

    def measure(self) -> None:
        """Measure the memory again, unless that was just done. Call it between requests only."""
        now_s = self._clock()
        if self._is_fixed or now_s < self._measured_s + _MEASURE_S:
            return
        self._measured_s = now_s
        self._divide(self._read_free())

    def _divide(self, total_bytes: int) -> None:
        self.body_bytes = int(total_bytes * _BODIES)
        image_bytes = total_bytes - self.body_bytes
        small_bytes = int(image_bytes * _SMALL)
        self.small_pool.resize(small_bytes)
        self.pool.resize(image_bytes - small_bytes)


def measure_free_bytes() -> int:
    """Measure the memory that requests may use now, in bytes."""
    return compute_budget(find_memory_limit(), read_resident_bytes())


def find_memory_limit(groups: Path = _GROUPS, process: Path = _PROCESS) -> int:
    """Return the memory that this process may use, in bytes: its container's, or the machine's.

    Args:
        groups: Mount point of the control groups, version 2 or 1.
        process: Folder of the process in `/proc`.
    """
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine_bytes, *_read_limits(groups, process)])


def read_resident_bytes(process: Path = _PROCESS) -> int:
    """Return the resident memory of this process in bytes; 0 where it cannot be read.

    Args:
        process: Folder of the process in `/proc`.
    """
    try:
        pages = int((process / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def compute_budget(limit_bytes: int, resident_bytes: int) -> int:
    """Compute the memory that requests may use, in bytes.

    Args:
        limit_bytes: Memory that the process may use.
        resident_bytes: Memory that it uses without any request. A runtime keeps the memory of its
            largest calls, so that after the warm-up this includes what calls need.
    """
    return max(int(_USABLE * (limit_bytes - resident_bytes)), LEAST_BYTES)


def _read_limits(groups: Path, process: Path) -> Iterator[int]:
    """Read the limits of the process' control groups that can be read."""
    yield from _read_number(groups / "memory" / "memory.limit_in_bytes")
    yield from _read_number(groups / "memory.max")
    try:
        lines = (process / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::/"):  # version 2
            path = Path(line.removeprefix("0::/"))
            for group in (path, *path.parents):
                yield from _read_number(groups / group / "memory.max")


def _read_number(path: Path) -> Iterator[int]:
    try:
        text = path.read_text().strip()
    except OSError:
        return
    if text.isdecimal():  # "max" if there is no limit
        yield int(text)
