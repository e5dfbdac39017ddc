"""How the process's threads take turns, at the cores and at the interpreter."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Protocol

SWITCH_S = 5e-4
"""After so long a thread hands the interpreter to one that waits for it; Python's own is ten times
as much. A worker whose call is over leaves its core idle until then."""


class Scheduler(Protocol):
    """The system's scheduler on Linux, as Python's `os` shows it."""

    def sched_getscheduler(self, pid: int, /) -> int:
        """Return the policy of a thread; 0 is the calling one."""

    def sched_setscheduler(self, pid: int, policy: int, param: os.sched_param, /) -> None:
        """Choose the policy of a thread; raise OSError if that is forbidden."""


def set_batch_scheduling(system: Scheduler = os) -> None:
    """Let models compute in peace, and go on at once when one of their calls is over.

    For the calling thread and those that it starts: call it before there are others. On Linux they
    get the system's policy for batch work: what wakes does not interrupt what is running but waits
    for the end of its slice, some milliseconds, so that requests gather behind a call instead of
    cutting it into pieces (docs/decisions/0006). On an idle core nothing waits. A policy that the
    operator has chosen is kept, and so is the usual one where a sandbox forbids to change it.
    """
    sys.setswitchinterval(SWITCH_S)
    if hasattr(os, "SCHED_BATCH") and system.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):
            system.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
