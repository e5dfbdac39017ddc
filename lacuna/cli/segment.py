"""`lacuna segment`."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacuna.cli.keys import read_key, take_key
from lacuna.cli.segment_pipes import PIPE, open_pipes
from lacuna.errors import MalformedRequestError
from lacuna.outputs import OUTPUT_TYPES, describe
from lacuna.planes import CONFIDENCE, PROBABILITIES, SUPPORT
from lacuna.raster.formats import ACCEPTED

if TYPE_CHECKING:
    from lacuna.raster.bands import Band
    from lacuna.raster.nodata import NoData
    from lacuna.scenes.layers import ExtraLayer

_LAYERS = (CONFIDENCE, SUPPORT, PROBABILITIES)

_SERVER_CONCURRENCY = 16
"""Enough to keep the server busy while answers are read and written."""

_LOCAL_CONCURRENCY = 4
"""Enough to keep all cores busy; each image is decoded in memory."""

_CLUSTER_CONCURRENCY = 1000
"""More than most clusters take. An image is not read before it is nearly its turn."""


def _read_nodata(_: click.Context, __: click.Parameter, value: str | None) -> NoData | None:
    from lacuna.raster.nodata import parse_nodata  # noqa: PLC0415 (NumPy; --help answers at once)

    try:
        return None if value is None else parse_nodata(value)
    except ValueError:
        raise click.BadParameter(f"must be a number, nan or none; it is {value}") from None


def _read_bands(
    _: click.Context, __: click.Parameter, value: str | None
) -> tuple[Band, ...] | None:
    from lacuna.raster.band_parameters import parse_bands  # noqa: PLC0415

    try:
        return parse_bands(value)
    except MalformedRequestError as error:
        raise click.BadParameter(error.message) from None


def _read_layers(_: click.Context, __: click.Parameter, value: str | None) -> Any:
    layers = tuple(name for name in (value or "").split(",") if name)
    for name in layers:
        if name not in _LAYERS:
            raise click.BadParameter(f"must be of {', '.join(_LAYERS)}; it is {name}")
    return tuple(dict.fromkeys(layers))


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option(
    "--mask",
    type=click.Path(),
    metavar="FILE|PATTERN|none",
    help="Image or NPY of the same size; non-zero = valid. Or a pattern of its path, relative to "
    "the image's folder, with {stem}, {name}, {suffix} or {parent} of the image. Or none, to leave "
    "out files that are named like masks, and the .msk file beside an image.",
)
@click.option(
    "--mask-optional",
    is_flag=True,
    help="Also segment images whose mask does not exist, and leave out masks without an image.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help=f"File to write, for a single image: {describe()}. Or a folder to write to. Or - for the "
    "standard output.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([kind.key for kind in OUTPUT_TYPES]),
    help="Format of the files in that folder, or of the standard output.  [default: png]",
)
@click.option(
    "--summary",
    type=click.Choice(["json", "csv"]),
    help="Print the areas of the classes for programs: as JSON, or as CSV with a row for each "
    "class of each image.",
)
@click.option("--overlay", is_flag=True, help="Also write NAME-overlay.png next to each output.")
@click.option(
    "--resume",
    is_flag=True,
    help="Skip images whose outputs are up to date, and replace outputs that are not.",
)
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@click.option(
    "--also",
    metavar="LAYERS",
    callback=_read_layers,
    help="Of scenes: further layers, each in a GeoTIFF NAME-LAYER.tif: "
    "confidence,support,probabilities.",
)
@click.option(
    "--polygons",
    metavar="FILE",
    help="Of a scene: also write polygons, as .gpkg, .geojson, .fgb or .parquet. Of several: that "
    "suffix.",
)
@click.option(
    "--min-area",
    type=click.FloatRange(0),
    default=0.0,
    help="Leave out polygons that are smaller, in square metres; in pixels without a CRS.",
)
@click.option(
    "--scale", is_flag=True, help="Of scenes: apply the scale and the offset of each band."
)
@click.option(
    "--url",
    multiple=True,
    help="Server to use, e.g. http://127.0.0.1:8000, instead of this machine. Several share the "
    "work.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Ray cluster to use instead of this machine, which must be one of its nodes: host:port, "
    "or auto. Needs the extra `ray`.",
)
@click.option(
    "--protocol",
    type=click.Choice(["native", "oip", "tfserving"]),
    default="native",
    show_default=True,
    help="Protocol: the server's own, that of Triton and KServe, or TensorFlow Serving's.",
)
@take_key
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    help="Images processed at the same time; with --ray, CPUs used.  "
    f"[default: {_SERVER_CONCURRENCY} with --url, all CPUs with --ray, else {_LOCAL_CONCURRENCY}]",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(0),
    default=120.0,
    show_default=True,
    help="Seconds to keep trying while a server is overloaded or unreachable, or no CPU of a "
    "cluster is free.",
)
@click.option(
    "--model-repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Without --url: folder of <model>/<version>/saved_model.pb or model.onnx.  "
    "[default: the demo's]",
)
@click.option(
    "--model", help="Name of the model.  [default: the server's default, or the only one]"
)
@click.option("--version", help="Version of the model.  [default: the highest]")
@click.option(
    "--nodata",
    metavar="NUMBER|none",
    callback=_read_nodata,
    help="Value of missing pixels in the image, in place of the one that the file names; may be "
    "nan, or none to ignore the file's.",
)
@click.option(
    "--bands",
    metavar="BAND,…",
    callback=_read_bands,
    help="Bands of the image that are its channels, in order, by number from 1 or by name: 4,3,2 "
    "or nir,red,green.  [default: those that the model names, or all but alpha]",
)
@click.option(
    "--alpha",
    type=click.Choice(["auto", "yes", "no"]),
    help="yes: the last band is alpha, which tells valid pixels, if none is tagged as such. no: a "
    "band that is tagged as alpha is a channel.  [default: auto]",
)
@click.option(
    "--stretch",
    type=click.Choice(["none", "percentile"]),
    help="percentile: stretch the values to the range that the model was trained on.",
)
@click.option("--timeout", "timeout_s", type=float, help="Seconds to wait for each answer.")
def segment(
    images: tuple[str, ...],
    output: Path,
    form: str | None,
    summary: str | None,
    mask: str | None,
    mask_optional: bool,
    overlay: bool,
    resume: bool,
    overwrite: bool,
    model_repository: Path | None,
    concurrency: int | None,
    also: tuple[ExtraLayer, ...],
    polygons: str | None,
    min_area: float,
    scale: bool,
    **options: Any,
) -> None:
    """Find the class of each pixel of IMAGES.

    IMAGES are files (FORMATS), folders, quoted globs, or - for the standard input. Without --url
    and --ray the model runs in this command. That needs the extra `serve`.

    Missing pixels are left out: those that the mask or the alpha channel excludes, those of the
    no-data value, and those that are not finite. They are transparent in a PNG and 255 in arrays.

    Outputs are written whole or not at all. If a server becomes unreachable, the command waits for
    it.

    A raster whose output is a .tif may have any size. What is done of it is kept in OUTPUT.partial
    until all is. IMAGES may then also be a name that GDAL opens.

    The exit status is 0 if every image was segmented in this run or an earlier one, 3 if some were
    not, and 1 if none was.

    \b
    lacuna segment scene.tif --nodata 0 -o labels.png
    lacuna segment scene.png --mask valid.png -o labels.npz --url http://127.0.0.1:8000
    lacuna segment scenes --mask '{stem}-mask.png' -o labels --overlay --resume
    lacuna segment scene.tif -o labels.tif --also support --polygons labels.gpkg
    lacuna segment scenes -o labels --format tif --ray auto
    curl -s https://example.org/scene.png | lacuna segment - -o - > labels.png
    lacuna segment scenes -o labels --summary csv > areas.csv
    """
    _check_options(options, model_repository)
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite must not be combined; both were given")
    if str(output) == PIPE and (overlay or resume or also):
        raise click.UsageError(
            "--overlay, --resume and --also are for files; --output is the standard output"
        )
    if PIPE in images and getattr(options["api_key_file"], "name", None) == "<stdin>":
        raise click.UsageError("the standard input must be the image or the key; it is both")
    # NumPy is imported here: --help answers at once.
    from lacuna.cli.segment_plan import check_existing, plan_images  # noqa: PLC0415
    from lacuna.cli.segment_report import report  # noqa: PLC0415
    from lacuna.cli.segment_scenes import SceneOptions, divide, make_tasks  # noqa: PLC0415
    from lacuna.cli.segment_session import run_session  # noqa: PLC0415

    with open_pipes(images, output, form) as pipes:
        scene_options = SceneOptions(also, polygons, min_area, scale)
        plans = plan_images(
            pipes.images, mask, pipes.output, form, overlay=overlay, mask_optional=mask_optional
        )
        plans = scene_options.add_outputs(plans)
        todo = [plan for plan in plans if not (resume and plan.is_done)]
        check_existing(todo, may_replace=resume or overwrite)
        as_images = overlay or options["stretch"] is not None or options["protocol"] != "native"
        pictures, scenes = divide(todo, scene_options, as_images=as_images)
        make = partial(
            make_tasks,
            options=scene_options,
            nodata=options["nodata"],
            bands=options["bands"],
            alpha=options["alpha"] or "auto",
            resume=resume,
            overwrite=resume or overwrite,
        )
        if len(plans) > 1 or plans[0].output != pipes.output:
            for folder in {plan.output.parent for plan in todo}:
                folder.mkdir(parents=True, exist_ok=True)
        began_s = time.monotonic()
        options |= {
            "workers": concurrency,
            "model_repository": model_repository,
            "api_key": read_key(options["api_key"], options["api_key_file"]),
            "as_images": as_images,
        }
        if options["ray"]:
            concurrency = _CLUSTER_CONCURRENCY
        concurrency = concurrency or (_SERVER_CONCURRENCY if options["url"] else _LOCAL_CONCURRENCY)
        succeeded, failed = run_session(pictures, scenes, make, concurrency, options)
        seconds = time.monotonic() - began_s
        order = {plan: place for place, plan in enumerate(plans)}
        succeeded.sort(key=lambda outcome: order[outcome.plan])
        failed.sort(key=lambda outcome: order[outcome.plan])
        report(
            plans,
            todo,
            succeeded,
            failed,
            seconds,
            form=summary,
            name=pipes.name,
            to_stderr=pipes.writes,
        )


def _check_options(options: dict[str, Any], model_repository: Path | None) -> None:
    """Refuse options of servers and of this machine that do not go together."""
    if options["url"] and model_repository:
        raise click.UsageError("--url and --model-repository must not be combined; both were given")
    if options["url"] and options["ray"]:
        raise click.UsageError("--url and --ray must not be combined; both were given")
    if options["protocol"] != "native" and not options["url"]:
        raise click.UsageError("--protocol is for servers; it needs --url")
    if not options["url"] and (options["api_key"] or options["api_key_file"]):
        raise click.UsageError("--api-key and --api-key-file are for servers; they need --url")


segment.help = (segment.help or "").replace("FORMATS", ACCEPTED)
