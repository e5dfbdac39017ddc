"""Atomic replacement of files and folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION_FILE = Path("assets.extra") / "manifest.json"
"""File that every version of a model has."""


def replace_file(path: Path, data: bytes) -> None:
    """Write a file completely or not at all, even if the process or the machine stops."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def check_replaceable(version: Path) -> None:
    """Check that no folder but a version of a model would be replaced.

    Args:
        version: the folder to write.

    Raises:
        ValueError: if it holds anything else.
    """
    if version.is_dir() and any(version.iterdir()) and not (version / VERSION_FILE).is_file():
        raise ValueError(
            "an output that exists must be empty, or a version of a model that may be replaced; "
            f"{version} holds other files"
        )


@contextmanager
def replacing_version(version: Path) -> Iterator[Path]:
    """Write the folder of a version completely or not at all.

    Args:
        version: the folder. An existing version is replaced at the end of the block; a symbolic
            link is replaced itself.

    Yields:
        The path of a folder, which the block makes and fills. It is not a number, so a server that
        watches the repository does not load it.

    Raises:
        ValueError: if `check_replaceable` does.
    """
    check_replaceable(version)
    version.parent.mkdir(parents=True, exist_ok=True)
    unfinished, old = (version.with_name(f".{version.name}.{end}") for end in ("unfinished", "old"))
    for left in (unfinished, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        yield unfinished
        if version.is_symlink():
            version.unlink()
        elif version.exists():
            version.rename(old)
        unfinished.rename(version)
    except BaseException:  # an interruption, too
        if old.exists() and not version.exists():
            old.rename(version)
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
