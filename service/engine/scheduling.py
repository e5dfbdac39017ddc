"""Scheduling of the process's threads, on the cores and at Python's interpreter lock."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Protocol

SWITCH_S = 5e-4
"""Seconds after which a thread yields the interpreter lock to a waiting thread. Python's default is
ten times as long. A worker that has finished a call leaves its core idle during this wait."""


class Scheduler(Protocol):
    """Interface of the Linux scheduler, as in Python's `os`."""

    def sched_getscheduler(self, pid: int, /) -> int:
        """Return the scheduling policy of a thread; 0 is the calling thread."""

    def sched_setscheduler(self, pid: int, policy: int, param: os.sched_param, /) -> None:
        """Set the scheduling policy of a thread; raise OSError if forbidden."""


def set_batch_scheduling(system: Scheduler = os) -> None:
    """Let model calls run with fewer interruptions, and continue quickly after each call.

    This sets a shorter switch interval of Python's interpreter lock and, on Linux, the policy
    `SCHED_BATCH` for the calling thread and the threads it starts. Call it before other threads
    exist. Under this policy, a thread that wakes does not interrupt a running one but waits for the
    end of its time slice, some milliseconds. So requests gather during a model call instead of
    interrupting it (docs/decisions/0006). On an idle core nothing waits. A policy that the operator
    has set is kept, and so is the default where a sandbox forbids the change.
    """
    sys.setswitchinterval(SWITCH_S)
    if hasattr(os, "SCHED_BATCH") and system.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):
            system.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
