"""Atomic writing of files."""

from __future__ import annotations

import uuid
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename it, so that no reader sees half of it.

    Args:
        path: of the file; an existing file is replaced.
        content: of the file.

    Raises:
        OSError: if it cannot be written; an existing file is unchanged then.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
