"""Loading of models for the command line."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.engine.thread_allocation import ThreadAllocation
    from service.runtime.protocol import Runtime


@contextmanager
def mute_native_stderr() -> Iterator[None]:
    """Discard what native code writes to standard error.

    TensorFlow's libraries write there while they are imported, before their log settings take
    effect. Errors in Python are not hidden, because they are raised.
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


_KEPT_PRIMITIVES = "16384"
"""Capacity of oneDNN's cache of compiled primitives, 1024 by default. A network of twenty
convolutions fills that after fifty shapes. Then older shapes are compiled again, which takes 7 ms
for the demo."""


def load_saved_model(folder: Path, allocation: ThreadAllocation | None = None) -> Runtime:
    """Load a SavedModel. The first call also imports TensorFlow.

    Args:
        folder: folder `<repository>/<model>/<version>`.
        allocation: numbers of workers and threads; None for TensorFlow's default. TensorFlow uses
            only the first allocation of a process.

    Raises:
        ModelError: if the model cannot be served.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KEPT_PRIMITIVES)
    with mute_native_stderr():
        from service.runtime.saved_model import (  # noqa: PLC0415
            SavedModelRuntime,
            share_threads,
        )

        if not gc.get_freeze_count():
            # TensorFlow's objects live as long as the process. Without freezing them, a garbage
            # collection blocks the interpreter for a third of a second.
            gc.collect()
            gc.freeze()
        if allocation is not None:
            share_threads(allocation.workers, allocation.threads)
    return SavedModelRuntime(folder)
