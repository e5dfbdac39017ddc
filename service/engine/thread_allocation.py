"""Allocation of the machine's cores to workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class ThreadAllocation:
    """Number of concurrent model calls, and number of threads for each.

    Attributes:
        workers: Number of concurrent calls.
        threads: Number of threads of the runtime for each call.
    """

    workers: int
    threads: int


SINGLE_THREAD = ThreadAllocation(1, 1)


def count_cores(groups: Path = _GROUPS) -> int:
    """Count the cores that this process may use, by its affinity and its container's CPU quota.

    Args:
        groups: Mount point of the control groups, version 2 or 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _read_quota(groups)
    return max(min(cores or 1, int(quota)) if quota else cores or 1, 1)


def _read_quota(groups: Path) -> float | None:
    """Read the number of cores that the container's CPU quota grants; None if there is no quota."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            text = " ".join((groups / name).read_text() for name in names)
            quota, period = (int(number) for number in text.split())
        except (OSError, ValueError):  # not mounted, or "max"
            continue
        if quota > 0:  # version 1 says -1 for none
            return max(quota / period, 1.0)
    return None


def allocate_threads(workers: int | None, threads: int | None, cores: int) -> ThreadAllocation:
    """Allocate the cores as the settings say, or one worker per core by default.

    One worker per core with one thread each gives the highest throughput on a CPU
    (docs/decisions/0006). Small calls have too little work to divide, and large images consist of
    several windows.

    Args:
        workers: Number of workers from the settings; None if not set.
        threads: Number of threads per worker from the settings; None if not set.
        cores: Number of cores to allocate.
    """
    if workers is None:
        workers = max(cores // (threads or 1), 1)
    return ThreadAllocation(workers, threads or max(cores // workers, 1))
