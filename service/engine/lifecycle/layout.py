"""Reasons why a folder holds no model: what it holds instead of the repository's layout.

    <root>/<model>/<version>/saved_model.pb or model.onnx

Each function returns an empty text if the layout is right.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from service.core.model_formats import USUAL_FILES
from service.core.versions import is_version
from service.engine.lifecycle.near_misses import (
    explain_no_folder,
    find_graph,
    list_entries,
    list_ignored,
    list_misplaced,
    list_other_formats,
    name_graph,
)
from service.engine.lifecycle.scan import (
    GRAPH_FILES,
    find_graphs,
    find_models,
    find_versions,
    has_graph,
)

_MAX_FAULTS = 3
_REPOSITORY_RULE = f"a model repository must hold <model>/<version>/{USUAL_FILES}"


def explain_version(folder: Path, shown: str = "") -> str:
    """Explain why a folder is not `<model>/<version>` with one model.

    Args:
        folder: Folder of the version.
        shown: Its name in the text; `<model>/<version>` if empty.
    """
    shown = shown or f"{folder.parent.name}/{folder.name}"
    try:
        fault = explain_no_folder(folder, shown) or _explain_no_graph(folder, shown)
    except OSError as error:
        fault = f"{shown} cannot be read: {error.strerror}"
    return fault and f"the folder of a version must hold {USUAL_FILES}; {fault}"


def explain_model(root: Path, name: str) -> str:
    """Explain why a folder of the repository holds no version.

    Args:
        root: Folder of the repository, which is not shown.
        name: Name of the model's folder.
    """
    folder = root / name
    try:
        fault = explain_no_folder(folder, name)
        if fault or find_versions(folder):
            return fault
        return _join(list_misplaced(folder, name)) or _explain_depth(folder, name, 2)
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"


def explain_repository(root: Path) -> str:
    """Explain why a folder is no repository, or holds no model.

    Args:
        root: Folder as it was named. It is shown, so the text is for the operator alone.
    """
    shown = str(root)
    try:
        fault = explain_no_folder(root, shown) or _explain_no_model(root, shown)
    except OSError as error:
        fault = f"{shown} cannot be read: {error.strerror}"
    return fault and f"{_REPOSITORY_RULE}; {fault}"


def explain_level(root: Path, only: str = "") -> str:
    """Explain that a folder is a version's or a model's, and no repository now or later.

    Args:
        root: Folder as it was named, which can be read. It is shown, as by `explain_repository`.
        only: Name of the only model that is served, whose folder it may be; empty if there is none.
            The folder holds none of its versions.
    """
    fault = "" if find_models(root) else _explain_level(root, str(root))
    if fault and only:
        fault = _join(list_misplaced(root, str(root)))
    return fault and f"{_REPOSITORY_RULE}; {fault}"


def _explain_no_graph(folder: Path, shown: str) -> str:
    """Explain why a version's folder does not hold one graph that can be read."""
    if len(find_graphs(folder)) > 1:
        return f"{shown} holds both: leave one"
    for name in GRAPH_FILES:
        if os.path.lexists(folder / name):
            return _explain_no_file(folder / name)
    if has_graph(folder.parent):
        return f"it is in the parent of {shown}: give that"
    return _explain_depth(folder, shown, 2)


def _explain_no_file(path: Path) -> str:
    """Explain why a name that exists is no file that can be read."""
    if not path.exists():
        return f"{path.name} is a link to nothing"
    try:
        path.open("rb").close()
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    return ""


def _explain_no_model(root: Path, shown: str) -> str:
    """Explain why a folder that can be read holds no model."""
    if find_models(root):
        return ""
    return (
        _explain_level(root, shown) or _join(list_ignored(root)) or _explain_depth(root, shown, 3)
    )


def _explain_level(root: Path, shown: str) -> str:
    if has_graph(root):
        is_placed = is_version(root.resolve().name)
        advice = "give its parent's parent" if is_placed else "move its files to <model>/1 in it"
        return f"{name_graph(root)} is in {shown}: {advice}"
    versions = (entry for entry in list_entries(root) if entry.name.isdecimal())
    version = next(filter(has_graph, versions), None)
    if version is None:
        return ""
    return f"{version.name}/{name_graph(version)} is in {shown}: give its parent"


def _explain_depth(folder: Path, shown: str, depth: int) -> str:
    """Explain that a graph lies deeper than it should, or what there is instead."""
    graph = find_graph(folder, depth)
    if graph:
        return f"the nearest is {shown}/{graph}"
    others = _join(list_other_formats(folder, shown))
    if others:
        return others
    return f"{shown} holds none" if list_entries(folder) else f"{shown} is empty"


def _join(faults: Iterable[str]) -> str:
    return "; ".join(islice(faults, _MAX_FAULTS))
