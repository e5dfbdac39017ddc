"""Facts of the system about other processes."""

from __future__ import annotations

import os
import resource
from pathlib import Path


def find_policies(process_id: int, name: str) -> set[int]:
    """Return how the system schedules those threads of a process that have a name."""
    threads = Path(f"/proc/{process_id}/task").iterdir()
    named = [thread for thread in threads if (thread / "comm").read_text().strip() == name]
    return {os.sched_getscheduler(int(thread.name)) for thread in named}


def find_processes(title: str) -> list[int]:
    """Return the numbers of the processes whose command begins with a text."""
    folders = [folder for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
    return [int(folder.name) for folder in folders if _read_command(folder).startswith(title)]


def read_processor_s(process_id: int) -> float:
    """Return the processor time that a process has taken so far, with all its threads."""
    # The name of the program, in parentheses, may hold anything.
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_processor_s_of_ended() -> float:
    """Return the processor time of all processes that this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read_command(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return ""
