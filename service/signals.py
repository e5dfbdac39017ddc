"""Signals: what a process does with one for a while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextmanager
def handle_signal(name: Literal["SIGHUP", "SIGINT"], handler: Handler) -> Iterator[None]:
    """Handle a signal inside the context, if this is the main thread and the system has it.

    Args:
        name: Name of the signal.
        handler: Handler of the signal, as `signal.signal` takes it.
    """
    number = getattr(signal, name, None)  # Windows has no SIGHUP
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, former)
