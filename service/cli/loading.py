"""Loading models from the command line."""

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
    """Send what native code writes to the standard error nowhere.

    TensorFlow's libraries announce themselves there while they are imported, before any of their
    settings for quiet count. Python's own errors still surface: they are raised.
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
"""oneDNN keeps 1024 compiled primitives by default. A network of twenty convolutions has used those
up after fifty shapes, and compiles again whenever an older shape comes: 7 ms for the demo."""


def load_saved_model(folder: Path, allocation: ThreadAllocation | None = None) -> Runtime:
    """Load a SavedModel, and TensorFlow with it when it is the first.

    Args:
        folder: `<repository>/<model>/<version>`.
        allocation: how the cores are shared out; TensorFlow takes the first one only.

    Raises:
        ModelError: if it cannot be served.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KEPT_PRIMITIVES)
    with mute_native_stderr():
        from service.runtime.saved_model import (  # noqa: PLC0415
            SavedModelRuntime,
            set_threads,
        )

        if not gc.get_freeze_count():
            # TensorFlow's own objects live as long as the process; a collection that looks at
            # them all holds the interpreter for a third of a second.
            gc.collect()
            gc.freeze()
        if allocation is not None:
            set_threads(allocation.workers, allocation.threads)
    return SavedModelRuntime(folder)
