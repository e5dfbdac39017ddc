"""Loading models from the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def load_saved_model(folder: Path) -> Runtime:
    """Load a SavedModel, and TensorFlow with it when it is the first.

    Args:
        folder: `<repository>/<model>/<version>`.

    Raises:
        ModelError: if it cannot be served.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with mute_native_stderr():
        from service.runtime.saved_model import SavedModelRuntime  # noqa: PLC0415
    return SavedModelRuntime(folder)
