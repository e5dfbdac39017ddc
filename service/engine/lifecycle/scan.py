"""Looking at a repository's folder: which models and versions are there, and what their files are.

Links are followed as long as they stay in the repository, which may be one itself. Nothing is read
here, and nothing kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lacuna.errors import InvalidGraphError
from service.core.versions import Snapshot, is_model_name, is_version

_GRAPH_FILES = ("saved_model.pb", "saved_model.pbtxt")


def find_versions(folder: Path) -> list[str]:
    """List the versions in a model's folder, lowest first.

    Raises:
        OSError: if it cannot be looked at.
    """
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if is_version(entry.name) and entry.is_dir()]
    return sorted(names, key=int)


def find_models(root: Path) -> list[str]:
    """List the models of a repository: the folders that hold a version, and those that are locked.

    Raises:
        OSError: if the repository itself cannot be looked at.
    """
    if not root.is_dir():
        return []
    names = (entry.name for entry in root.iterdir() if is_model_name(entry.name))
    return sorted(name for name in names if _may_hold_versions(root / name))


def _may_hold_versions(folder: Path) -> bool:
    try:
        return bool(find_versions(folder))
    except OSError:
        return True


class Look(NamedTuple):
    """What a model's folder shows.

    Attributes:
        snapshots: of each version.
        fault: why it cannot be looked at; empty if it can.
    """

    snapshots: Mapping[str, Snapshot]
    fault: str = ""


def scan_model(root: Path, name: str) -> Look:
    """Look at the versions of a model.

    Args:
        root: of the repository.
        name: of the model; one that could be a path is never looked at.
    """
    if not is_model_name(name):
        return Look({}, "a model's name must be up to 100 letters, digits, dots, dashes and _")
    try:
        versions = find_versions(root / name)
    except OSError as error:
        return Look({}, f"its folder cannot be looked at: {error.strerror}")
    return Look({version: take_snapshot(root / name / version) for version in versions})


def take_snapshot(folder: Path) -> Snapshot:
    """Look at the files of a version, without reading them.

    Returns:
        A snapshot that differs whenever a file's name, size or time does; of files that vanish
        meanwhile nothing is said.
    """
    digest = hashlib.sha256()
    for path in _list_files(folder):
        try:
            status = path.stat()
        except OSError:
            continue
        place = path.relative_to(folder).as_posix()
        digest.update(f"{place}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return Snapshot(digest.hexdigest(), any((folder / file).is_file() for file in _GRAPH_FILES))


def locate_version(root: Path, name: str, version: str) -> Path:
    """Give the folder of a version.

    Raises:
        InvalidGraphError: if it, or anything in it, is a link that leads out of the repository.
    """
    folder, home = root / name / version, root.resolve()
    for path in [folder, *_list_files(folder)]:
        # Of a plain file in a plain folder nothing need be resolved.
        if (path is folder or path.is_symlink()) and not path.resolve().is_relative_to(home):
            raise InvalidGraphError(
                f"a version must lie in the repository; {path.relative_to(root).as_posix()} is a "
                "link that leads out of it"
            )
    return folder


def _list_files(folder: Path) -> Iterator[Path]:
    """List files, and links to folders, which are not gone into: they may lead round in a ring."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files + [name for name in folders if Path(parent, name).is_symlink()]):
            yield Path(parent, name)
