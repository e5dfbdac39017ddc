"""The files of a scene's result: checked before the run, and written after it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lacuna.errors import SceneError
from lacuna.geo.cog import move_cog, write_cog
from lacuna.geo.grid import Grid
from lacuna.geo.layers import describe_model
from lacuna.geo.polygons import load_format, write_polygons
from lacuna.scenes.journal import Journal
from lacuna.scenes.layers import LABELS, make_layers
from lacuna.scenes.runner import SceneModel
from lacuna.scenes.task import SceneTask


def check_outputs(task: SceneTask) -> None:
    """Hold the outputs not to exist, unless they may be replaced, and to have a folder.

    It must be called before a model is loaded; see `load_format`.

    Raises:
        SceneError: if one exists and must not be replaced, or cannot be written.
        MissingExtraError: if its format needs an extra that is not installed.
    """
    if task.polygons is not None:
        load_format(task.polygons)
    for path in task.outputs:
        if path.is_dir():
            raise SceneError(f"an output must be a file; {path} is a folder")
        if path.exists() and not task.overwrite:
            raise SceneError(f"an output must not exist; {path} exists (--overwrite replaces it)")
        if not path.parent.is_dir():
            raise SceneError(f"the folder of an output must exist; {path.parent} does not")


def check_inputs(task: SceneTask, files: Iterable[str | os.PathLike[str]]) -> None:
    """Hold the outputs to be none of the files that are read, such as the source of a VRT.

    Args:
        task: names the outputs.
        files: that the scene and its mask are read from.

    Raises:
        SceneError: if one is.
    """
    inputs = {Path(name).resolve() for name in files}
    for path in task.outputs:
        if path.resolve() in inputs:
            raise SceneError(f"an output must not be an input; {path} is one")


def write_outputs(task: SceneTask, grid: Grid, model: SceneModel, journal: Journal) -> None:
    """Assemble the layers beside the pieces, and put them into their places, the labels last."""
    tags = describe_model(model.name, model.version, model.checksum)
    finished: dict[str, Path] = {}
    for name, layer in make_layers(task.layer_names, model).items():
        finished[name] = journal.folder / f"{name}.tif"
        write_cog(finished[name], journal.list_pieces(name), grid, layer, tags)
    if task.polygons is not None:
        write_polygons(
            finished[LABELS],
            task.polygons,
            confidence=finished["confidence"],
            classes=model.classes,
            min_area=task.min_area,
        )
    for name, path in task.layer_files.items():
        move_cog(finished[name], path)
    journal.remove()
