"""`segment_scene`: the function for programs."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal

from lacuna.client import RetryPolicy
from lacuna.errors import LacunaWarning
from lacuna.geo.polygons import load_formats
from lacuna.plugins import ClusterOptions, load_cluster_scenes, load_local_scenes
from lacuna.raster.nodata import NoData
from lacuna.scenes.layers import ExtraLayer
from lacuna.scenes.outputs import check_outputs
from lacuna.scenes.runner import SceneRunner
from lacuna.scenes.scene import run_scene
from lacuna.scenes.servers import open_runner
from lacuna.scenes.summary import SceneProgress, SceneResult
from lacuna.scenes.task import SceneTask

__all__ = ["SceneProgress", "SceneResult", "segment_scene"]


def segment_scene(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    mask: str | os.PathLike[str] | None = None,
    url: str | Sequence[str] | None = None,
    api_key: str | None = None,
    ray: str | None = None,
    model_repository: str | os.PathLike[str] | None = None,
    model: str | None = None,
    version: str | int | None = None,
    nodata: NoData | None = None,
    bands: Sequence[int | str] | None = None,
    alpha: Literal["auto", "yes", "no"] = "auto",
    scale: bool = False,
    also: Sequence[ExtraLayer] = (),
    polygons: str | os.PathLike[str] | None = None,
    min_area: float = 0.0,
    overwrite: bool = False,
    resume: bool = False,
    on_progress: Callable[[SceneProgress], object] = lambda _: None,
) -> SceneResult:
    """Segment a raster of any size into a Cloud-Optimised GeoTIFF of labels.

    The labels are those of one call with the whole scene, to the bit. Memory does not depend on the
    size of the scene. It must not be called from a running event loop.

    Args:
        source: raster, anything that GDAL opens.
        output: GeoTIFF of the labels: uint8, 255 = invalid, on the raster's grid.
        mask: raster of the same size whose non-zero pixels are valid.
        url: server, or several with the same model; None for this machine, which needs the extra
            `serve`.
        api_key: sent to the servers.
        ray: address of a Ray cluster that this machine is a node of, `host:port` or `auto`, which
            needs the extra `ray`; None for none.
        model_repository: folder of `<model>/<version>/`; None for the demo's.
        model: name of the model; None for the default one, or the only one.
        version: version of the model; None for the highest.
        nodata: value of missing pixels, in place of those that the file names.
        bands: numbers from 1, or names, of the bands that the model is given.
        alpha: whether the last band is alpha: `auto` as the file says, `yes` or `no`.
        scale: True to apply the scale and the offset of each band.
        also: `confidence`, `support`, `probabilities`; written beside the output as
            `NAME-support.tif`.
        polygons: file of polygons, `.gpkg`, `.geojson`, `.fgb` or `.parquet`.
        min_area: area below which a polygon is left out, in square metres; in pixels without a
            CRS.
        overwrite: True to replace outputs that exist, and to begin anew without `resume`.
        resume: True to continue an unfinished run.
        on_progress: called after each window.

    Raises:
        SceneError: if an output exists, an unfinished run cannot be continued, or the model cannot
            work in windows.
        LacunaError: if the scene cannot be read, or the model or a server fails.
        OSError: if an output cannot be written.
        ModuleNotFoundError: if the extra `geo` is not installed.
        ValueError: if servers and a cluster are given.
    """
    task = SceneTask(
        source=source,
        output=Path(output),
        mask=mask,
        nodata=nodata,
        bands=bands,
        alpha=alpha,
        scale=scale,
        also=tuple(also),
        polygons=None if polygons is None else Path(polygons),
        min_area=min_area,
        overwrite=overwrite,
        resume=resume,
    )
    if url is not None and ray is not None:
        raise ValueError("url and ray must not be combined; both were given")
    check_outputs(task)
    wanted = None if version is None else str(version)
    folder = None if model_repository is None else Path(model_repository)
    runner: AbstractAsyncContextManager[SceneRunner]
    if url is None:
        load_formats()  # a later call may want them
        target = folder, model, wanted
        if ray:
            runner = load_cluster_scenes()(ClusterOptions(ray), *target)
        else:
            runner = load_local_scenes()(*target)
    else:
        urls = [url] if isinstance(url, str) else list(url)
        runner = open_runner(urls, model, wanted, api_key=api_key, retry=RetryPolicy())

    async def run() -> SceneResult:
        async with runner as opened:
            return await run_scene(task, opened, on_progress)

    result = asyncio.run(run())
    for warning in result.warnings:
        warnings.warn(LacunaWarning(warning.message, warning.code), stacklevel=2)
    return result
