"""`lacuna segment`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console

from service.cli.loading import load_saved_model

_MEDIA_TYPES = {
    ".png": "image/png",
    ".npy": "application/x-npy",
    ".npz": "application/zip",
    ".json": "application/json",
}


def _check_suffix(_: click.Context, __: click.Parameter, value: Path) -> Path:
    if value.suffix.lower() not in _MEDIA_TYPES:
        raise click.BadParameter(
            f"must end in one of {', '.join(_MEDIA_TYPES)}; it is {value.name}"
        )
    return value


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mask",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Image or NPY of the same size; non-zero = valid.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_check_suffix,
    help="Where to write: .png (palette), .npy (labels), .npz (labels and probabilities) or .json "
    "(areas and run lengths).",
)
@click.option("--url", help="Ask this server, e.g. http://127.0.0.1:8000, instead of this machine.")
@click.option(
    "--model-repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of <model>/<version>/saved_model.pb, without --url.  [default: the demo's]",
)
@click.option("--model", help="Name of the model, where there are several.")
@click.option("--version", help="Version of the model.  [default: the highest]")
@click.option("--nodata", type=float, help="Value of missing pixels in the image; may be nan.")
@click.option("--timeout", "timeout_s", type=float, help="Seconds to wait for the answer.")
def segment(
    image: Path,
    mask: Path | None,
    output: Path,
    url: str | None,
    model_repository: Path | None,
    model: str | None,
    version: str | None,
    nodata: float | None,
    timeout_s: float | None,
) -> None:
    """Segment IMAGE (PNG, JPEG, TIFF, WebP or NPY) here, or on a server.

    A pixel is valid if the mask, the image's alpha channel, the no-data value and its being finite
    all say so. Invalid pixels are transparent in a PNG and 255 in arrays.

    \b
    lacuna segment scene.tif --nodata 0 -o labels.png
    lacuna segment scene.png --mask valid.png -o labels.npz --url http://127.0.0.1:8000
    """
    if url and model_repository:
        raise click.UsageError("--url and --model-repository exclude each other")
    media_type = _MEDIA_TYPES[output.suffix.lower()]
    fields = {"model": model, "version": version, "nodata": nodata, "timeout_s": timeout_s}
    with Console(stderr=True).status(f"segmenting {image.name}"):
        if url:
            answer = _ask_server(url, image, mask, media_type, fields)
        else:
            answer = _run_here(model_repository, image, mask, media_type, fields)
    try:
        output.write_bytes(answer)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from error
    click.echo(f"{output}: {len(answer)} bytes")


def _ask_server(
    url: str,
    image: Path,
    mask: Path | None,
    media_type: str,
    fields: dict[str, str | float | None],
) -> bytes:
    from service.client import Client  # noqa: PLC0415

    with Client(url) as client:
        return client.segment_as(media_type, image, mask, **fields)


def _run_here(
    model_repository: Path | None,
    image: Path,
    mask: Path | None,
    media_type: str,
    fields: dict[str, str | float | None],
) -> bytes:
    from service.config import DEMO_REPOSITORY  # noqa: PLC0415
    from service.engine.layout import choose_layout, count_cores  # noqa: PLC0415
    from service.engine.repository import Repository  # noqa: PLC0415
    from service.engine.segmenter import EnginePolicy, Segmenter  # noqa: PLC0415
    from service.pipeline import Pipeline  # noqa: PLC0415
    from service.wire.native.request import make_request, read_parameters  # noqa: PLC0415

    given = {name: value for name, value in fields.items() if value is not None}
    request = make_request(
        image.read_bytes(), None if mask is None else mask.read_bytes(), read_parameters(given)
    )
    layout = choose_layout(None, None, count_cores())
    repository = Repository(
        model_repository or DEMO_REPOSITORY, lambda folder: load_saved_model(folder, layout)
    )
    segmenter = Segmenter(EnginePolicy(layout.workers))

    async def answer() -> bytes:
        await repository.load_all()
        return (await Pipeline(repository, segmenter).answer(request, media_type)).content

    try:
        return asyncio.run(answer())
    finally:
        segmenter.close()
