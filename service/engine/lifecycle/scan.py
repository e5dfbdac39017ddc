"""Scan of a repository's folder for models, versions and their files.

Symbolic links are followed if they stay in the repository, which may itself be a link. No file is
read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lacuna.errors import InvalidGraphError
from service.core.versions import Snapshot, is_model_name, is_version

GRAPH_FILES = ("saved_model.pb", "saved_model.pbtxt")


def has_graph(folder: Path) -> bool:
    """Return True if a folder holds the graph of a SavedModel; False also if it cannot be read."""
    try:
        return any((folder / name).is_file() for name in GRAPH_FILES)
    except OSError:
        return False


def find_versions(folder: Path) -> list[str]:
    """List the versions in a model's folder, lowest first.

    Raises:
        OSError: if the folder cannot be read.
    """
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if is_version(entry.name) and entry.is_dir()]
    return sorted(names, key=int)


def find_models(root: Path) -> list[str]:
    """List the models of a repository: folders that hold a version, or cannot be read.

    Raises:
        OSError: if the repository itself cannot be read.
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


class ModelScan(NamedTuple):
    """Result of a scan of one model's folder.

    Attributes:
        snapshots: Snapshot of each version.
        error: Reason why the folder cannot be read; empty if it can.
        hint: What it holds instead of versions; empty if it has one.
    """

    snapshots: Mapping[str, Snapshot]
    error: str = ""
    hint: str = ""


def scan_model(root: Path, name: str) -> ModelScan:
    """Scan the versions of a model.

    Args:
        root: Folder of the repository.
        name: Name of the model. The disk is not read if the name could be a path.
    """
    if not is_model_name(name):
        return ModelScan({}, "a model's name must be up to 100 letters, digits, dots, dashes and _")
    try:
        versions = find_versions(root / name)
    except OSError as error:
        return ModelScan({}, f"its folder cannot be read: {error.strerror}")
    return ModelScan({version: take_snapshot(root / name / version) for version in versions})


def take_snapshot(folder: Path) -> Snapshot:
    """Take a snapshot of a version's files without reading them.

    Returns:
        Snapshot whose fingerprint changes with any file's name, size or modification time. Files
        that disappear meanwhile are left out.
    """
    digest = hashlib.sha256()
    for path in _list_files(folder):
        try:
            status = path.stat()
        except OSError:
            continue
        place = path.relative_to(folder).as_posix()
        digest.update(f"{place}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return Snapshot(digest.hexdigest(), has_graph(folder))


def locate_version(root: Path, name: str, version: str) -> Path:
    """Return the folder of a version.

    Raises:
        InvalidGraphError: if the folder or a file in it is a link out of the repository.
    """
    folder, home = root / name / version, root.resolve()
    for path in [folder, *_list_files(folder)]:
        # Plain files in plain folders need not be resolved.
        if (path is folder or path.is_symlink()) and not path.resolve().is_relative_to(home):
            raise InvalidGraphError(
                f"a version must lie in the repository; {path.relative_to(root).as_posix()} is a "
                "link that leads out of it"
            )
    return folder


def _list_files(folder: Path) -> Iterator[Path]:
    """List files and links to folders. The links are not followed, since they may form a cycle."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files + [name for name in folders if Path(parent, name).is_symlink()]):
            yield Path(parent, name)
