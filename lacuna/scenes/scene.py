"""Segmentation of a scene of any size, from a file into files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from lacuna.appearance.answers import DOUBTFUL_IMAGE
from lacuna.appearance.comparison import AnswerWarning
from lacuna.errors import SceneError
from lacuna.geo.grid import Grid
from lacuna.geo.polygons import check_polygons
from lacuna.geo.source import RasterSource, open_raster
from lacuna.scenes.grid_windows import choose_side, plan_tiles
from lacuna.scenes.journal import Journal, fingerprint
from lacuna.scenes.layers import make_layers
from lacuna.scenes.outputs import check_inputs, check_outputs, write_outputs
from lacuna.scenes.reading import SceneReader, check_bands, check_mask
from lacuna.scenes.runner import SceneModel, SceneRunner
from lacuna.scenes.running import SceneRun
from lacuna.scenes.summary import SceneProgress, SceneResult, sum_areas, warn_of_windows
from lacuna.scenes.task import SceneTask


async def run_scene(
    task: SceneTask,
    runner: SceneRunner,
    on_progress: Callable[[SceneProgress], object] = lambda _: None,
) -> SceneResult:
    """Segment a scene and write the result.

    Args:
        task: the scene and its outputs.
        runner: what segments the windows.
        on_progress: called after each window.

    Raises:
        SceneError: if an output exists, the model cannot work in windows, or the scene changes
            meanwhile.
        LacunaError: if the scene cannot be read, or the model fails.
        OSError: if an output cannot be written. What is done is kept for another run.
    """
    model = runner.model
    check_outputs(task)
    with ExitStack() as stack:
        source = stack.enter_context(
            open_raster(
                task.source,
                bands=task.bands,
                alpha=task.alpha,
                scale=task.scale,
                expected=model.bands,
            )
        )
        mask = None if task.mask is None else stack.enter_context(open_raster(task.mask))
        if mask is not None:
            check_mask(source, mask)
        check_bands(source, model)
        if task.polygons is not None:
            check_polygons(task.polygons, source.grid)
        side = choose_side(model, *source.grid.size)
        files = _list_files(task, source, mask)
        check_inputs(task, files)
        identity = task.describe(source.grid, files, model, side)
        journal = stack.enter_context(Journal(task.output))
        journal.begin(identity, resume=task.resume, overwrite=task.overwrite)
        await _run_windows(task, source, mask, runner, side, journal, on_progress)
        await _confirm(runner, identity, journal)
        write_outputs(task, source.grid, model, journal)
        notes = tuple(AnswerWarning(DOUBTFUL_IMAGE, note) for note in source.notes)
        return _summarize(task, source.grid, model, journal, notes)


def _list_files(
    task: SceneTask, source: RasterSource, mask: RasterSource | None
) -> list[str | os.PathLike[str]]:
    """Return the names of all that is read. GDAL need not list the file that was named."""
    named = [name for name in (task.source, task.mask) if name is not None]
    rasters = [raster for raster in (source, mask) if raster is not None]
    return [*named, *(name for raster in rasters for name in raster.files)]


async def _run_windows(
    task: SceneTask,
    source: RasterSource,
    mask: RasterSource | None,
    runner: SceneRunner,
    side: int,
    journal: Journal,
    on_progress: Callable[[SceneProgress], object],
) -> None:
    model, grid = runner.model, source.grid
    reader = SceneReader(source, mask, model, task.nodata)
    tiles = (
        (tile, part)
        for part in reader.part_columns(side)
        for tile in plan_tiles(*grid.size, side, model.halo, part)
        if tile.output not in journal.done
    )
    done = sum(window.height * window.width for window in journal.done)

    def count(tile: Any) -> None:
        nonlocal done
        done += tile.output.height * tile.output.width
        on_progress(SceneProgress(done, grid.height * grid.width))

    on_progress(SceneProgress(done, grid.height * grid.width))
    layers = make_layers(task.layer_names, model)
    run = SceneRun(reader, runner, layers, journal, count)
    await run.run(tiles)


async def _confirm(runner: SceneRunner, identity: Mapping[str, Any], journal: Journal) -> None:
    """Check that scene and model are still those that the run began with."""
    try:
        before = identity["files"]
        now = fingerprint(before)
        for name, facts in before.items():
            if now.get(name) != facts:
                raise SceneError(f"a scene must not change while it is segmented; {name} has")
        await runner.confirm()
    except SceneError:
        # Nobody can tell which windows are right.
        journal.remove()
        raise


def _summarize(
    task: SceneTask,
    grid: Grid,
    model: SceneModel,
    journal: Journal,
    notes: tuple[AnswerWarning, ...],
) -> SceneResult:
    records = list(journal.done.values())
    areas = sum_areas(records, model)
    *others, labels = task.outputs
    return SceneResult(
        labels,
        tuple(others),
        (grid.height, grid.width),
        sum(area.pixels for area in areas.values()),
        areas,
        model.name,
        model.version,
        (*notes, *warn_of_windows(records)),
    )
