"""Files that are whole or not there."""

from __future__ import annotations

import uuid
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place, then put it there: nobody ever sees half of it.

    Args:
        path: of the file; what is there is replaced.
        content: of the file.

    Raises:
        OSError: if it cannot be written; what was there is as it was.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
