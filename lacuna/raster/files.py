"""Large files, whose headers are read before the rest."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

LARGE_BYTES = 32 << 20
"""Size from which a file's header is read before the file: smaller ones are read in no time."""


def is_large(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is that of a file whose header should be read first.

    Raises:
        OSError: if there is no such file.
    """
    path = Path(path)
    return path.is_file() and path.stat().st_size >= LARGE_BYTES


def map_file(path: str | os.PathLike[str]) -> memoryview:
    """Return the bytes of a file, which are read only where they are looked at.

    Args:
        path: a file, not empty. It must not be cut short as long as its bytes are looked at.

    Raises:
        OSError: if it cannot be opened.
    """
    with Path(path).open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
