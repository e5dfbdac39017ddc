"""Loading of models for the command line."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.errors import InvalidGraphError
from lacuna.native_stderr import mute_native_stderr
from service.engine.lifecycle.layout import explain_version

if TYPE_CHECKING:
    from service.engine.thread_allocation import ThreadAllocation
    from service.runtime.protocol import Runtime


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
    fault = explain_version(folder)
    if fault:
        raise InvalidGraphError(fault)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KEPT_PRIMITIVES)
    with mute_native_stderr():
        from service.runtime.saved_model import (  # noqa: PLC0415
            SavedModelRuntime,
            set_threads,
        )

        if not gc.get_freeze_count():
            # TensorFlow's objects live as long as the process. Without freezing them, a garbage
            # collection blocks the interpreter for a third of a second.
            gc.collect()
            gc.freeze()
        if allocation is not None:
            set_threads(allocation.workers, allocation.threads)
    return SavedModelRuntime(folder)
