"""Segmentation of a scene of any size, from a file into files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lacuna.errors import SceneError
from lacuna.geo.cog import move_cog, write_cog
from lacuna.geo.grid import Grid
from lacuna.geo.polygons import check_polygons, load_format, write_polygons
from lacuna.geo.source import RasterSource, open_raster
from lacuna.raster.nodata import NoData
from lacuna.scenes.grid_windows import choose_side, plan_tiles
from lacuna.scenes.journal import Journal, fingerprint
from lacuna.scenes.layers import LABELS, ExtraLayer, make_layers
from lacuna.scenes.names import name_layer
from lacuna.scenes.reading import SceneReader, check_bands, check_mask_size
from lacuna.scenes.runner import SceneModel, SceneRunner
from lacuna.scenes.running import SceneRun
from lacuna.scenes.summary import SceneProgress, SceneResult, sum_areas, warn_of_windows


@dataclass(frozen=True)
class SceneTask:
    """A scene to segment, and where the result goes.

    Attributes:
        source: raster, anything that GDAL opens.
        output: GeoTIFF of the labels.
        mask: raster of the same size whose non-zero pixels are valid; None for none.
        nodata: value of missing pixels, in place of those that the file names; None for these.
        bands: numbers from 1, or names, of the bands that the model is given; None for all.
        alpha: whether the raster's last band is alpha: `auto`, `yes` or `no`.
        scale: True to apply the scale and the offset of each band.
        also: further layers.
        polygons: file of polygons, `.gpkg`, `.geojson`, `.fgb` or `.parquet`; None for none.
        min_area: area below which a polygon is left out, in square metres; pixels without a CRS.
        overwrite: True to replace outputs that exist.
        resume: True to continue an unfinished run.
    """

    source: str | os.PathLike[str]
    output: Path
    mask: str | os.PathLike[str] | None = None
    nodata: NoData | None = None
    bands: Sequence[int | str] | None = None
    alpha: Literal["auto", "yes", "no"] = "auto"
    scale: bool = False
    also: tuple[ExtraLayer, ...] = ()
    polygons: Path | None = None
    min_area: float = 0.0
    overwrite: bool = False
    resume: bool = False

    @property
    def layer_files(self) -> dict[str, Path]:
        """Files of the layers, by their names."""
        beside: dict[str, Path] = {name: name_layer(self.output, name) for name in self.also}
        return {**beside, LABELS: self.output}

    @property
    def outputs(self) -> list[Path]:
        """All files that are written, the labels last."""
        first = [] if self.polygons is None else [self.polygons]
        return [*first, *self.layer_files.values()]

    @property
    def layer_names(self) -> list[str]:
        """Names of the layers that are computed."""
        # Polygons have a mean confidence.
        needed = (
            ["confidence"] if self.polygons is not None and "confidence" not in self.also else []
        )
        return [LABELS, *self.also, *needed]

    def describe(self, grid: Grid, model: SceneModel, side: int) -> dict[str, Any]:
        """Return all that the outputs depend on, as JSON values."""
        return {
            "scene": os.fspath(self.source),
            "size": [grid.height, grid.width],
            "file": fingerprint(self.source),
            "mask": self.mask and [os.fspath(self.mask), fingerprint(self.mask)],
            "nodata": None if self.nodata is None else str(self.nodata),
            "bands": self.bands and list(self.bands),
            "alpha": self.alpha,
            "scale": self.scale,
            "layers": sorted(self.layer_names),
            "model": [model.name, model.version, model.checksum],
            "window": side,
        }


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
            check_mask_size(source, mask)
        check_bands(source, model)
        if task.polygons is not None:
            check_polygons(task.polygons, source.grid)
        side = choose_side(model, *source.grid.size)
        identity = task.describe(source.grid, model, side)
        journal = stack.enter_context(Journal(task.output))
        journal.begin(identity, resume=task.resume, overwrite=task.overwrite)
        await _run_windows(task, source, mask, runner, side, journal, on_progress)
        await _confirm(task, runner, identity, journal)
        _write_outputs(task, source.grid, model, journal)
        return _summarize(task, source.grid, model, journal)


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


async def _confirm(
    task: SceneTask, runner: SceneRunner, identity: Mapping[str, Any], journal: Journal
) -> None:
    """Check that scene and model are still those that the run began with."""
    try:
        if fingerprint(task.source) != identity["file"]:
            raise SceneError(f"a scene must not change while it is segmented; {task.source} has")
        await runner.confirm()
    except SceneError:
        # Nobody can tell which windows are right.
        journal.remove()
        raise


def _write_outputs(task: SceneTask, grid: Grid, model: SceneModel, journal: Journal) -> None:
    """Assemble the layers beside the pieces, and put them into their places, the labels last."""
    tags = _describe_model(model)
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


def _describe_model(model: SceneModel) -> Mapping[str, str]:
    tags = {
        "LACUNA_MODEL": model.name,
        "LACUNA_MODEL_VERSION": model.version,
        "LACUNA_MODEL_CHECKSUM": model.checksum,
    }
    return {name: text for name, text in tags.items() if text}


def _summarize(task: SceneTask, grid: Grid, model: SceneModel, journal: Journal) -> SceneResult:
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
        warn_of_windows(records),
    )
