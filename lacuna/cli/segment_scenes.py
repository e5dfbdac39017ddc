"""Scenes among the images that `lacuna segment` is given: rasters whose result is a GeoTIFF.

An image is segmented as a scene, window by window through GDAL, if its output is a TIFF and it is
no picture or array. Pictures and arrays are too if the result needs it: for further layers,
polygons, or a server that refuses images of their size.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacuna.cli.segment_plan import ImagePlan
from lacuna.cli.segment_run import ImageFailure, ImageSuccess, is_fatal
from lacuna.distribution import describe_extra
from lacuna.errors import (
    BodyTooLargeError,
    ImageTooLargeError,
    LacunaError,
    MissingExtraError,
)
from lacuna.raster.formats import FORMATS
from lacuna.raster.sidecar import find_sidecar
from lacuna.scenes.names import name_layer

if TYPE_CHECKING:
    from lacuna.scenes.layers import ExtraLayer
    from lacuna.scenes.runner import SceneRunner
    from lacuna.scenes.summary import SceneProgress
    from lacuna.scenes.task import SceneTask

_TIFF = (".tif", ".tiff")
_RASTERS = frozenset({"tiff", "jpeg2000"})
_PICTURES = frozenset(
    suffix for form in FORMATS if form.key not in _RASTERS for suffix in form.suffixes
)

OpenRunner = Callable[[], AbstractAsyncContextManager["SceneRunner"]]


@dataclass(frozen=True)
class SceneOptions:
    """Options of scenes.

    Attributes:
        also: further layers.
        polygons: file of polygons, or its suffix if there are several scenes; None for none.
        min_area: area below which a polygon is left out.
        scale: True to apply the scale and the offset of each band.
    """

    also: tuple[ExtraLayer, ...] = ()
    polygons: str | None = None
    min_area: float = 0.0
    scale: bool = False

    @property
    def are_wanted(self) -> bool:
        """True if one of them is given, so that every image is a scene."""
        return bool(self.also or self.polygons or self.scale or self.min_area)

    def add_outputs(self, plans: Sequence[ImagePlan]) -> list[ImagePlan]:
        """Add the files of layers and polygons to plans.

        Raises:
            click.UsageError: if `polygons` names one file for several scenes, or there are none
                that `min_area` could leave out.
        """
        if self.min_area and not self.polygons:
            raise click.UsageError("--min-area is for polygons; it needs --polygons")
        if self.polygons and len(plans) > 1 and not _is_suffix(self.polygons):
            raise click.UsageError(
                "--polygons must be a suffix such as .gpkg, if there are several scenes; it is "
                f"{self.polygons}"
            )
        return [replace(plan, others=tuple(self._name_outputs(plan.output))) for plan in plans]

    def name_polygons(self, output: Path) -> Path | None:
        """Return the file of the polygons of a scene; None for none."""
        if self.polygons is None:
            return None
        return (
            output.with_suffix(self.polygons) if _is_suffix(self.polygons) else Path(self.polygons)
        )

    def _name_outputs(self, output: Path) -> Iterator[Path]:
        for name in self.also:
            yield name_layer(output, name)
        polygons = self.name_polygons(output)
        if polygons is not None:
            yield polygons


def divide(
    plans: Sequence[ImagePlan], options: SceneOptions, *, as_images: bool
) -> tuple[list[ImagePlan], list[ImagePlan]]:
    """Divide plans into those of images and those of scenes.

    Args:
        plans: all plans.
        options: options of scenes.
        as_images: True if an option is given that needs whole images.

    Raises:
        click.UsageError: if an option of scenes is given for an output that is no TIFF, or together
            with one that needs whole images.
        MissingExtraError: if there is a scene, and the extra `geo` is not installed.
    """
    must = [plan for plan in plans if options.are_wanted or plan.source is not None]
    for plan in must:
        if plan.output.suffix.lower() not in _TIFF:
            raise click.UsageError(
                f"--output of a scene must end in .tif; it is {plan.output.name} (scenes are what "
                "--also, --polygons, --min-area, --scale and names of GDAL are for)"
            )
    if must and as_images:
        raise click.UsageError(
            "--overlay, --stretch and other protocols need whole images; a scene is read in windows"
        )
    has_gdal = find_spec("rasterio") is not None
    if must and not has_gdal:
        raise MissingExtraError(f"a scene needs the extra `geo`: {describe_extra('geo')}")
    scenes = [
        plan for plan in plans if plan in must or (has_gdal and not as_images and is_scene(plan))
    ]
    for plan in scenes:
        sidecar = None if plan.takes_sidecar else find_sidecar(plan.image)
        if sidecar is not None:
            raise click.UsageError(
                f"--mask none cannot leave out {sidecar}, which GDAL reads with a scene; move it"
            )
    return [plan for plan in plans if plan not in scenes], scenes


def is_scene(plan: ImagePlan) -> bool:
    """Return True if an image is segmented as a scene by its name and that of its output."""
    names_raster = plan.image.suffix.lower() not in _PICTURES
    return names_raster and plan.output.suffix.lower() in _TIFF


def make_tasks(
    plans: Sequence[ImagePlan], options: SceneOptions, **arguments: Any
) -> dict[ImagePlan, SceneTask]:
    """Make the tasks of scenes.

    Args:
        plans: their files.
        options: options of scenes.
        arguments: further arguments of all tasks.
    """
    if not plans:
        return {}
    from lacuna.scenes.task import SceneTask  # noqa: PLC0415 (GDAL; --help answers at once)

    return {
        plan: SceneTask(
            source=plan.source or plan.image,
            output=plan.output,
            mask=plan.mask,
            also=options.also,
            polygons=options.name_polygons(plan.output),
            min_area=options.min_area,
            scale=options.scale,
            **arguments,
        )
        for plan in plans
    }


def _is_suffix(text: str) -> bool:
    return text.startswith(".") and Path(text).name == text and not Path(text).suffix


def take_refused(failed: list[ImageFailure]) -> list[ImagePlan]:
    """Take out of the failures the images that may be segmented as scenes.

    A server refused them for their size.

    Args:
        failed: failures, from which these are removed.
    """
    refused = [
        failure
        for failure in failed
        if isinstance(failure.error, ImageTooLargeError | BodyTooLargeError)
        and failure.plan.output.suffix.lower() in _TIFF
        and find_spec("rasterio") is not None
    ]
    failed[:] = [failure for failure in failed if failure not in refused]
    return [failure.plan for failure in refused]


async def run_tasks(
    tasks: Mapping[ImagePlan, SceneTask],
    open_runner: OpenRunner,
    on_progress: Callable[[ImagePlan, SceneProgress], object],
    on_outcome: Callable[[ImageSuccess | ImageFailure], object],
) -> None:
    """Segment scenes, one after another. It stops after an error that every other would have too.

    Args:
        tasks: scenes.
        open_runner: opens what segments their windows.
        on_progress: called after each window.
        on_outcome: called with the outcome of each scene.
    """
    from lacuna.scenes.outputs import check_outputs  # noqa: PLC0415
    from lacuna.scenes.scene import run_scene  # noqa: PLC0415

    for task in tasks.values():
        check_outputs(task)
    async with open_runner() as runner:
        for plan, task in tasks.items():
            began_s = time.monotonic()
            try:
                result = await run_scene(task, runner, partial(on_progress, plan))
            except (LacunaError, OSError) as error:
                on_outcome(ImageFailure(plan, error))
                if is_fatal(error):
                    return
            else:
                on_outcome(
                    ImageSuccess(
                        plan,
                        result.size,
                        result.valid_pixels,
                        result.areas,
                        time.monotonic() - began_s,
                        result.warnings,
                    )
                )


@asynccontextmanager
async def open_scene_runner(options: Mapping[str, Any]) -> AsyncIterator[SceneRunner]:
    """Open what segments windows: servers or a cluster if they are given, or else this machine.

    Args:
        options: `url`, `ray`, `model`, `version`, `model_repository`, `api_key`, `patience_s`,
            `timeout_s` and `workers`.
    """
    from lacuna.client import RetryPolicy  # noqa: PLC0415
    from lacuna.plugins import (  # noqa: PLC0415
        ClusterOptions,
        load_cluster_scenes,
        load_local_scenes,
    )
    from lacuna.scenes.servers import open_runner  # noqa: PLC0415

    target = options["model"], options["version"]
    runner: AbstractAsyncContextManager[SceneRunner]
    if options["url"]:
        runner = open_runner(
            options["url"],
            *target,
            api_key=options["api_key"],
            retry=RetryPolicy(options["patience_s"]),
            timeout_s=options["timeout_s"],
        )
    elif options["ray"]:
        cluster = ClusterOptions(options["ray"], options["workers"], options["patience_s"])
        runner = load_cluster_scenes()(cluster, options["model_repository"], *target)
    else:
        runner = load_local_scenes()(options["model_repository"], *target)
    async with runner as opened:
        yield opened
