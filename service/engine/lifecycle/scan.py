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
from service.core.model_formats import FORMATS, ModelFormat
from service.core.versions import Snapshot, is_model_name, is_version

GRAPH_FILES = tuple(name for known in FORMATS for name in known.files)
"""Names of files that hold the graph of a model."""
OWN_VERSION = "1"
"""Version of a model whose files lie in the repository's folder itself."""


def has_graph(folder: Path) -> bool:
    """Return True if a folder holds the graph of a model; False also if it cannot be read."""
    return bool(find_graphs(folder))


def find_graphs(folder: Path) -> dict[ModelFormat, str]:
    """Find the graphs of models in a folder.

    Returns:
        The names of their files, by format; empty also if the folder cannot be read.
    """
    try:
        return {
            known: name
            for known in FORMATS
            for name in reversed(known.files)
            if (folder / name).is_file()
        }
    except OSError:
        return {}


def find_versions(folder: Path) -> list[str]:
    """List the versions in a model's folder, lowest first.

    Raises:
        OSError: if the folder cannot be read.
    """
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if is_version(entry.name) and entry.is_dir()]
    return sorted(names, key=int)


def find_version_folders(root: Path, name: str, *, is_only: bool = False) -> dict[str, Path]:
    """Return the folder of each version of a model, lowest version first.

    Args:
        root: Folder of the repository.
        name: Name of the model; never a path.
        is_only: True if no other model is served. If the repository has no folder of its name,
            then it may be the model's folder itself, or that of its version 1. So are models
            mounted by those who know only one, such as KServe.

    Raises:
        OSError: if a folder cannot be read.
    """
    folder = root / name
    if is_only and not os.path.lexists(folder):
        if has_graph(root):
            return {OWN_VERSION: root}
        folder = root
    return {version: folder / version for version in find_versions(folder)}


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


def scan_model(root: Path, name: str, *, is_only: bool = False) -> ModelScan:
    """Scan the versions of a model.

    Args:
        root: Folder of the repository.
        name: Name of the model. The disk is not read if the name could be a path.
        is_only: True if no other model is served; see `find_version_folders`.
    """
    if not is_model_name(name):
        return ModelScan({}, "a model's name must be up to 100 letters, digits, dots, dashes and _")
    try:
        folders = find_version_folders(root, name, is_only=is_only)
    except OSError as error:
        return ModelScan({}, f"its folder cannot be read: {error.strerror}")
    return ModelScan({version: take_snapshot(folder) for version, folder in folders.items()})


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


def locate_version(root: Path, name: str, version: str, *, is_only: bool = False) -> Path:
    """Return the folder of a version.

    Args:
        root: Folder of the repository.
        name: Name of the model.
        version: Version, digits.
        is_only: True if no other model is served; see `find_version_folders`.

    Raises:
        OSError: if the folder of the model cannot be read.
        InvalidGraphError: if the folder or a file in it is a link out of the repository.
    """
    folders = find_version_folders(root, name, is_only=is_only)
    folder, home = folders.get(version, root / name / version), root.resolve()
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
