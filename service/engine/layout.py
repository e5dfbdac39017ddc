"""How the machine's cores are shared out between workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Layout:
    """How many calls run at once, and on how many threads each.

    Attributes:
        workers: calls at once.
        threads: of the runtime, for each call.
    """

    workers: int
    threads: int


ALONE = Layout(1, 1)


def count_cores(quota_file: Path = _QUOTA_FILE) -> int:
    """Count the cores that this process may use, by its affinity and its container's quota.

    Args:
        quota_file: control group version 2's `cpu.max`: microseconds, or "max", of a period.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = quota_file.read_text().split()
        granted = int(quota) // int(period)
    except (OSError, ValueError):
        return cores or 1
    return max(min(cores or 1, granted), 1)


def choose_layout(workers: int | None, threads: int | None, cores: int) -> Layout:
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
    return Layout(workers, threads or max(cores // workers, 1))
