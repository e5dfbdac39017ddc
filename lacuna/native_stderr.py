"""Silence for libraries that write to the standard error from native code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def mute_native_stderr() -> Iterator[None]:
    """Discard what native code writes to the standard error; exceptions are still raised.

    TensorFlow's libraries write there while they are imported, before any setting can silence them.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
