"""How the machine's cores are shared out between workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class ThreadAllocation:
    """How many calls run at once, and on how many threads each.

    Attributes:
        workers: calls at once.
        threads: of the runtime, for each call.
    """

    workers: int
    threads: int


ALONE = ThreadAllocation(1, 1)


def count_cores(groups: Path = _GROUPS) -> int:
    """Count the cores that this process may use, by its affinity and its container's quota.

    Args:
        groups: where control groups are mounted, of version 2 or 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _read_quota(groups)
    return max(min(cores or 1, int(quota)) if quota else cores or 1, 1)


def _read_quota(groups: Path) -> float | None:
    """Read how many cores a container's quota grants; None if there is no quota."""
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
    """Share out the cores where the settings leave it open.

    A worker for each core, of one thread each, is the most that a CPU gives (docs/decisions/0006):
    small calls have too little in them to be divided, and large images come as several windows.

    Args:
        workers: as set; None if not.
        threads: as set; None if not.
        cores: to be shared out.
    """
    if workers is None:
        workers = max(cores // (threads or 1), 1)
    return ThreadAllocation(workers, threads or max(cores // workers, 1))
