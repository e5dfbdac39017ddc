"""SIGHUP: what a process does with it for a while."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextmanager
def handle_hangups(handler: Handler) -> Iterator[None]:
    """Handle SIGHUP inside the context, if this is the main thread and the system has it.

    Args:
        handler: Handler of the signal, as `signal.signal` takes it.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, former)
