"""Loading of models for the command line."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.distribution import describe_extra
from lacuna.errors import InvalidGraphError
from lacuna.native_stderr import mute_native_stderr
from service.core.model_formats import ONNX
from service.engine.lifecycle.layout import explain_version
from service.engine.lifecycle.scan import find_graphs
from service.engine.thread_allocation import ThreadAllocation, allocate_threads, count_cores

if TYPE_CHECKING:
    from service.runtime.protocol import Runtime


_KEPT_PRIMITIVES = 16_384
"""Capacity of oneDNN's cache of compiled primitives, 1024 by default. A network of twenty
convolutions fills that after fifty shapes. Then older shapes are compiled again, which takes 7 ms
for the demo."""


def keep_primitives(primitives: int = _KEPT_PRIMITIVES) -> None:
    """Set the capacity of oneDNN's cache, unless it is set. Call it before TensorFlow is imported.

    Args:
        primitives: number of compiled primitives.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(primitives))


def load_model(folder: Path, allocation: ThreadAllocation | None = None) -> Runtime:
    """Load a model. The first one of its format also imports the library that runs it.

    Args:
        folder: folder `<repository>/<model>/<version>`.
        allocation: numbers of workers and threads; None for one worker with all cores.

    Raises:
        ModelError: if the model cannot be served.
    """
    fault = explain_version(folder)
    if fault:
        raise InvalidGraphError(fault)
    load = _load_onnx if ONNX in find_graphs(folder) else load_saved_model
    return load(folder, allocation)


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
    keep_primitives()
    with mute_native_stderr():
        with _freeze_new_objects():
            from service.runtime.saved_model import (  # noqa: PLC0415
                SavedModelRuntime,
                set_threads,
            )

        if allocation is not None:
            set_threads(allocation.workers, allocation.threads)
    return SavedModelRuntime(folder)


@contextmanager
def _freeze_new_objects() -> Iterator[None]:
    """Import without garbage collections, and then exclude what was imported from them.

    TensorFlow's objects live as long as the process. Collections while it is imported take a fifth
    of the time, and later ones would block the interpreter for a third of a second.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        gc.enable()


def _load_onnx(folder: Path, allocation: ThreadAllocation | None) -> Runtime:
    """Load a model in ONNX. The first call also imports ONNX Runtime."""
    try:
        with mute_native_stderr():
            from service.runtime.onnx import OnnxRuntime  # noqa: PLC0415
    except ImportError as error:
        raise InvalidGraphError(
            f"a model in ONNX needs the extra `onnx`, {describe_extra('onnx')}; {error}"
        ) from error
    allocation = allocation or allocate_threads(1, None, count_cores())
    return OnnxRuntime(folder, allocation.threads)
