"""Checksums of a model's files, by which damage is noticed before the model is served."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

_EXTRA = "assets.extra"


def compute_checksums(folder: Path) -> dict[str, str]:
    """Compute the SHA-256 of each file of a model.

    Two kinds of files are left out, because no runtime reads them: those in `assets.extra`, where
    the manifest lies and users add their own, and hidden ones, which editors and file systems leave
    behind.

    Args:
        folder: `<repository>/<model>/<version>`.

    Returns:
        Hexadecimal digits by path, relative to the folder and with slashes, in order.

    Raises:
        OSError: if a file cannot be read.
    """
    checksums = {}
    for path in _list_files(folder):
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        checksums[path.relative_to(folder).as_posix()] = checksum
    return dict(sorted(checksums.items()))


def _list_files(folder: Path) -> Iterator[Path]:
    """List the files of a model. Links are followed, but none into a folder seen before."""
    seen = {os.path.realpath(folder)}
    for parent, folders, files in os.walk(folder, followlinks=True):
        here = Path(parent)
        left_out = {_EXTRA} if here == folder else set()
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in left_out and _is_new(here / name, seen)
        ]
        yield from (here / name for name in files if not name.startswith("."))


def _is_new(folder: Path, seen: set[str]) -> bool:
    real = os.path.realpath(folder)
    is_new = real not in seen
    seen.add(real)
    return is_new
