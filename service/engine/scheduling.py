"""How the process's threads take turns, at the cores and at the interpreter."""

from __future__ import annotations

import contextlib
import os
import sys

SWITCH_S = 5e-4
"""After so long a thread hands the interpreter to one that waits for it; Python's own is ten times
as much. A worker whose call is over leaves its core idle until then."""


def set_batch_scheduling() -> None:
    """Let models compute in peace, and go on at once when one of their calls is over.

    For the calling thread and those that it starts: call it before there are others. On Linux they
    get the system's policy for batch work: what wakes does not interrupt what is running but waits
    for the end of its slice, some milliseconds, so that requests gather behind a call instead of
    cutting it into pieces (docs/decisions/0006). On an idle core nothing waits. A policy that the
    operator has chosen is kept, and so is the usual one where a sandbox forbids to change it.
    """
    sys.setswitchinterval(SWITCH_S)
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
