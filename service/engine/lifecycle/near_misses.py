"""Files and folders that look like models or versions of a repository, and are none.

Only names are read, and of each folder a hundred: a repository has fewer, and a folder that is none
may be huge. Texts are for people, and show names as the caller does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from service.core.versions import is_model_name, is_version
from service.engine.lifecycle.scan import GRAPH_FILES, find_graphs, has_graph

_MAX_ENTRIES = 100
_ARCHIVE = "an archive: unpack it"
_KERAS = "a Keras model: export it as a SavedModel"
_PYTORCH = "a PyTorch model: export it to ONNX"
_OTHER_FORMATS = {
    ".keras": _KERAS,
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".tflite": "a TensorFlow Lite model: export a SavedModel",
    ".onnx": "an ONNX model: name it model.onnx",
    ".pt": _PYTORCH,
    ".pth": _PYTORCH,
    ".zip": _ARCHIVE,
    ".tar": _ARCHIVE,
    ".tgz": _ARCHIVE,
    ".gz": _ARCHIVE,
}


def list_ignored(root: Path) -> list[str]:
    """List what looks like a model or a version in a repository, and is none.

    Raises:
        OSError: if the repository cannot be read.
    """
    return [
        fault
        for folder in list_entries(root)
        if not folder.name.startswith(".")
        for fault in list_misplaced(folder, folder.name)
    ]


def list_misplaced(folder: Path, shown: str) -> Iterator[str]:
    """Describe what looks like a version in a model's folder, and is none.

    Args:
        folder: Folder of the model. If it cannot be read, nothing is listed.
        shown: Its name in the texts.
    """
    try:
        entries = list_entries(folder)
    except OSError:
        return
    if not is_model_name(folder.name) and any(has_graph(entry) for entry in entries):
        yield f"{shown!r} is no name of a model, which has letters, digits, dots, dashes and _"
    if has_graph(folder):
        yield f"{name_graph(folder)} is in {shown}: move its files to {shown}/1"
    for entry in entries:
        fault = _describe_misplaced(entry, f"{shown}/{entry.name}")
        if fault:
            yield fault
    yield from list_other_formats(folder, shown)


def _describe_misplaced(entry: Path, shown: str) -> str:
    name = entry.name
    if is_version(name):
        return explain_no_folder(entry, shown)
    number = name.lstrip("0") or "0"
    if is_version(number):
        return f"{shown} is no version, which has no leading zeros: name it {number}"
    if has_graph(entry) and not name.startswith("."):
        return f"{shown} is no version, which is a number"
    return ""


def explain_no_folder(path: Path, shown: str) -> str:
    """Explain why a path is no folder that can be read; empty if it is one."""
    try:
        if not path.exists():
            return f"{shown} {'is a link to nothing' if path.is_symlink() else 'does not exist'}"
        if path.name in GRAPH_FILES and path.is_file():
            return f"{shown} is the graph itself: give its folder"
        if not path.is_dir():
            return f"{shown} is {_OTHER_FORMATS.get(path.suffix.lower(), 'a file')}"
        os.scandir(path).close()
    except OSError as error:
        return f"{shown} cannot be read: {error.strerror}"
    return ""


def list_other_formats(folder: Path, shown: str) -> Iterator[str]:
    """Describe the models in other formats, and the archives, in a folder that can be read."""
    for entry in list_entries(folder):
        kind = _OTHER_FORMATS.get(entry.suffix.lower())
        if kind and entry.name not in GRAPH_FILES and entry.is_file():
            yield f"{shown}/{entry.name} is {kind}"


def find_graph(folder: Path, depth: int) -> str:
    """Find a graph at most so many levels below a folder.

    Returns:
        Its path from the folder; empty if there is none. What cannot be read is left out.
    """
    try:
        folders = [entry for entry in list_entries(folder) if entry.is_dir()]
    except OSError:
        return ""
    for inner in folders:
        if has_graph(inner):
            return f"{inner.name}/{name_graph(inner)}"
    for inner in folders if depth > 1 else []:
        found = find_graph(inner, depth - 1)
        if found:
            return f"{inner.name}/{found}"
    return ""


def name_graph(folder: Path) -> str:
    """Return the name of a graph's file, of a folder that has one."""
    return next(iter(find_graphs(folder).values()), GRAPH_FILES[0])


def list_entries(folder: Path) -> list[Path]:
    """List the first entries of a folder, in order.

    Raises:
        OSError: if the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in islice(entries, _MAX_ENTRIES))
