"""`lacuna segment`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from lacuna.cli.plugins import load_local_segmenter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lacuna.cli.segment_plan import Job
    from lacuna.cli.segment_run import JobFailure, JobSuccess, SegmentJob
    from lacuna.client import Result

SOME_FAILED = 3
"""Exit status if some images were segmented and others failed."""

_SERVER_CONCURRENCY = 16
"""Images sent to a server at the same time. It has work while results are read and written."""

_LOCAL_CONCURRENCY = 4
"""Images segmented on this machine at the same time. All cores have work; memory stays small."""


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option(
    "--mask",
    type=click.Path(),
    metavar="FILE|PATTERN",
    help="Mask file of the image's height and width; non-zero = valid. For several images, a "
    "pattern with {stem}, {name}, {suffix} or {parent} of the image, relative to its folder.",
)
@click.option("--mask-optional", is_flag=True, help="Also segment images whose mask is missing.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Output file of a single image: .png (palette), .npy (labels), .npz (labels and "
    "probabilities) or .json (areas and COCO RLE). Or an output folder.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["png", "npy", "npz", "json"]),
    help="Format of the files in an output folder.  [default: png]",
)
@click.option("--overlay", is_flag=True, help="Also write NAME-overlay.png next to each output.")
@click.option("--resume", is_flag=True, help="Skip images whose outputs are newer than they are.")
@click.option("--url", help="Send images to this server, for example http://127.0.0.1:8000.")
@click.option(
    "--protocol",
    type=click.Choice(["native", "oip", "tfserving"]),
    default="native",
    show_default=True,
    help="Protocol of the server: lacuna's own, the Open Inference Protocol (Triton, KServe), or "
    "TensorFlow Serving's REST API.",
)
@click.option(
    "--api-key",
    metavar="KEY",
    help="API key of the server. Other users of this machine may see it; prefer --api-key-file.",
)
@click.option(
    "--api-key-file",
    type=click.File(),
    help="File with the API key; - for standard input.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    help="Number of images processed at the same time.  "
    f"[default: {_SERVER_CONCURRENCY} with --url, else {_LOCAL_CONCURRENCY}]",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(0),
    default=120.0,
    show_default=True,
    help="Seconds to keep retrying while the server is busy or unreachable.",
)
@click.option(
    "--model-repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with <model>/<version>/saved_model.pb; not with --url.  [default: the demo model]",
)
@click.option("--model", help="Name of the model, if there are several.")
@click.option("--version", help="Version of the model.  [default: the highest]")
@click.option("--nodata", type=float, help="Value of missing pixels in the images; may be nan.")
@click.option("--timeout", "timeout_s", type=float, help="Seconds to wait for each image.")
def segment(
    images: tuple[str, ...],
    output: Path,
    form: str | None,
    mask: str | None,
    mask_optional: bool,
    overlay: bool,
    resume: bool,
    model_repository: Path | None,
    concurrency: int | None,
    **options: Any,
) -> None:
    """Segment IMAGES on this machine or on a server.

    IMAGES are files (PNG, JPEG, TIFF, WebP or NPY), folders or globs.

    A pixel is valid if its mask is non-zero, its alpha is above 0, and its values are finite and
    differ from the no-data value. Missing pixels are transparent in a PNG and 255 in an array.

    An output file is written completely or not at all. If the server becomes unreachable, requests
    are retried.

    The exit status is 0 if all images are segmented, 3 if some failed, and 1 if all failed.

    \b
    lacuna segment scene.tif --nodata 0 -o labels.png
    lacuna segment scene.png --mask valid.png -o labels.npz --url http://127.0.0.1:8000
    lacuna segment scenes --mask '{stem}-mask.png' -o labels --overlay --resume
    """
    if options["url"] and model_repository:
        raise click.UsageError("--url and --model-repository must not be combined; both were given")
    if options["protocol"] != "native" and not options["url"]:
        raise click.UsageError("--protocol needs --url; none was given")
    from lacuna.cli.segment_plan import plan_jobs  # noqa: PLC0415 (NumPy; --help answers at once)

    jobs = plan_jobs(images, mask, output, form, overlay=overlay, mask_optional=mask_optional)
    todo = [job for job in jobs if not (resume and job.is_done)]
    if len(jobs) > 1 or jobs[0].output != output:
        for folder in {job.output.parent for job in todo}:
            folder.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    concurrency = concurrency or (_SERVER_CONCURRENCY if options["url"] else _LOCAL_CONCURRENCY)
    succeeded, failed = _run(todo, concurrency, {**options, "model_repository": model_repository})
    seconds = time.monotonic() - began_s
    order = {job: place for place, job in enumerate(jobs)}
    succeeded.sort(key=lambda outcome: order[outcome.job])
    failed.sort(key=lambda outcome: order[outcome.job])
    _report(jobs, todo, succeeded, failed, seconds)


def _run(
    jobs: Sequence[Job], concurrency: int, options: dict[str, Any]
) -> tuple[list[JobSuccess], list[JobFailure]]:
    from lacuna.cli.segment_run import JobSuccess, run_jobs  # noqa: PLC0415

    succeeded: list[JobSuccess] = []
    failed: list[JobFailure] = []
    console = Console(stderr=True)
    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()]
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("segmenting", total=len(jobs))

    def on_outcome(outcome: JobSuccess | JobFailure) -> None:
        bar.advance(task)
        if isinstance(outcome, JobSuccess):
            succeeded.append(outcome)
        else:
            failed.append(outcome)

    async def run() -> None:
        if jobs:
            probabilities = any(job.output.suffix.lower() == ".npz" for job in jobs)
            async with _open(options, probabilities=probabilities) as segment_job:
                await run_jobs(jobs, segment_job, concurrency, on_outcome)

    with bar:
        try:
            asyncio.run(run())
        except KeyboardInterrupt:
            raise click.ClickException(
                f"stopped after {len(succeeded)} of {len(jobs)} images; --resume does the rest"
            ) from None
    return succeeded, failed


@asynccontextmanager
async def _open(options: dict[str, Any], *, probabilities: bool) -> AsyncIterator[SegmentJob]:
    target = {name: options[name] for name in ("model", "version", "nodata", "timeout_s")}
    async with AsyncExitStack() as stack:
        if not options["url"]:
            open_models = load_local_segmenter()
            models = open_models(options["model_repository"], target, probabilities=probabilities)
            yield await stack.enter_async_context(models)
            return
        from lacuna.client import AsyncClient, Question, RetryPolicy  # noqa: PLC0415

        key, file = options["api_key"], options["api_key_file"]
        client = await stack.enter_async_context(
            AsyncClient(
                options["url"],
                api_key=key if file is None else file.read().strip(),
                retry=RetryPolicy(options["patience_s"]),
                protocol=options["protocol"],
            )
        )

        async def segment_job(job: Job) -> Result:
            # Only JSON outputs hold the version of the model.
            brief = job.output.suffix.lower() != ".json"
            return await client.ask(Question(job.image, job.mask, probabilities, brief, **target))

        yield segment_job


def _report(
    jobs: Sequence[Job],
    todo: Sequence[Job],
    succeeded: Sequence[JobSuccess],
    failed: Sequence[JobFailure],
    seconds: float,
) -> None:
    from lacuna.cli.segment_summary import describe, draw_table  # noqa: PLC0415

    if len(jobs) == 1 and failed:
        raise failed[0].error
    for failure in failed:
        click.echo(f"{failure.job.image}: {_explain(failure.error)}", err=True)
    if len(jobs) == 1 and succeeded:
        click.echo(describe(succeeded[0]))
        return
    if succeeded:
        Console().print(draw_table(succeeded))
    left = len(todo) - len(succeeded) - len(failed)
    counts = {
        "segmented": len(succeeded),
        "done before": len(jobs) - len(todo),
        "failed": len(failed),
        "not started": left,
    }
    summary = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    pace = f" in {seconds:.1f} s, {len(succeeded) / seconds:.1f} images/s" if succeeded else ""
    click.echo(f"{summary}{pace}")
    if failed:
        click.echo("run the command again with --resume to segment the rest", err=True)
        raise SystemExit(SOME_FAILED if len(jobs) - len(failed) - left else 1)


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
