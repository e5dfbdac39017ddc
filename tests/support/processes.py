"""Facts of the system about other processes."""

from __future__ import annotations

import os
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


def _read_command(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return ""
