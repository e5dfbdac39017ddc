"""`lacuna bench`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from lacuna.cli.console import make_console
from lacuna.cli.keys import read_key, take_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO

    from service.bench.report import Report

REGIONS = ("side", "left", "slant", "swath", "centre", "scattered")


@click.command()
@click.argument("url", default="http://127.0.0.1:8000")
@click.option(
    "--connections",
    type=click.IntRange(1),
    help="Number of connections. Each sends its next request when the last one is answered.  "
    "[default: 8, or 128 with --rate]",
)
@click.option(
    "--rate",
    "rate_per_s",
    type=click.FloatRange(0, min_open=True),
    help="Requests per second. They arrive at random, whether the server keeps up or not. Latency "
    "counts from the arrival.",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0, min_open=True),
    help="Length of the measurement in seconds.  [default: 10]",
)
@click.option(
    "--requests",
    type=click.IntRange(1),
    help="Number of requests to measure, instead of --duration.",
)
@click.option(
    "--warmup",
    "warmup_s",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Seconds of load before the measurement.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    default=["48-384"],
    show_default=True,
    help="Size in pixels: 512, 480x640 (height, width), or a range from which both are drawn. "
    "Repeatable.",
)
@click.option(
    "--valid",
    type=click.FloatRange(0, 1),
    multiple=True,
    default=[1.0],
    show_default=True,
    help="Fraction of valid pixels. Repeatable.",
)
@click.option(
    "--region",
    "regions",
    type=click.Choice(REGIONS),
    multiple=True,
    default=["side"],
    show_default=True,
    help="Region of the missing pixels. Repeatable.",
)
@click.option(
    "--images",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Number of different images, sent in turn.",
)
@click.option("--model", help="Name of the model. Needed if the server has several.")
@take_key
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the images and arrival times.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds after which a request counts as failed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def bench(
    url: str,
    connections: int | None,
    rate_per_s: float | None,
    duration_s: float | None,
    requests: int | None,
    warmup_s: float,
    sizes: tuple[str, ...],
    valid: tuple[float, ...],
    regions: tuple[str, ...],
    images: int,
    model: str | None,
    api_key: str | None,
    api_key_file: IO[str] | None,
    seed: int,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Measure the server at URL under load, and check its answers.

    Each image is first sent alone. Then all images are sent again and again over many connections.
    Each answer is compared with the one to the image alone. No label may differ, whatever shares
    its batch.

    The exit status is 0 if every answer was correct. It is 1 if an answer differed or a request
    failed. Refusals (429, 503) are counted, but are not failures.

    \b
    lacuna bench                                          many sizes, eight connections
    lacuna bench --size 512 --valid 0.4 --region slant    60 % of each image missing
    lacuna bench --size 64 --rate 100 --json              random arrivals, results as JSON
    """
    if duration_s is not None and requests is not None:
        raise click.UsageError("--duration and --requests exclude each other")
    from service.bench.load import run_in_loop  # noqa: PLC0415 (slow; --help must be quick)
    from service.bench.load_profile import LoadProfile  # noqa: PLC0415
    from service.bench.prepared_request import parse_server_url  # noqa: PLC0415
    from service.bench.session import measure_server  # noqa: PLC0415
    from service.bench.workload import Workload, parse_sizes  # noqa: PLC0415

    if requests is None and duration_s is None:
        duration_s = 10.0
    if connections is None:
        connections = 8 if rate_per_s is None else 128
    profile = LoadProfile(connections, rate_per_s, duration_s, requests, warmup_s, timeout_s, seed)
    try:
        server = parse_server_url(url)
        workload = Workload(images, tuple(map(parse_sizes, sizes)), valid, regions, seed=seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    key = read_key(api_key, api_key_file)
    with Console(stderr=True).status("") as status:
        report = run_in_loop(
            lambda: measure_server(server, workload, profile, model, status.update, api_key=key)
        )
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        make_console().print(_draw_table(report))
    if not report.is_clean:
        raise SystemExit(1)


def _draw_table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _list_rows(report):
        table.add_row(name, value)
    return table


def _list_rows(report: Report) -> Iterator[tuple[str, str]]:
    latency = report.latency_s
    times = {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99, "longest": latency.max}
    rates = f"{report.images_per_s:.1f} images/s, {report.valid_megapixels_per_s:.2f}"
    yield "measured", f"{report.duration_s:.1f} s, {report.answered} answers"
    yield "throughput", f"{rates} valid megapixels/s"
    yield "latency", ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in times.items())
    if report.stages_ms:
        yield "of that", ", ".join(f"{name} {ms:.1f} ms" for name, ms in report.stages_ms.items())
    if report.computed_per_pixel is not None:
        valid = report.computed_per_valid_pixel
        yield (
            "computed",
            f"{report.computed_per_pixel:.2f} × the images' pixels"
            + ("" if valid is None else f", {valid:.2f} × the valid ones"),
        )
    yield "refused", _list_outcomes(report.refused)
    yield "failed", _list_outcomes(report.failed, "red")
    color = "red" if report.differing_answers else "green"
    yield (
        "compared",
        f"{report.checked_answers} answers: [{color}]{report.differing_labels} labels differ[/]"
        + (f" in {report.differing_answers} of them" if report.differing_answers else ""),
    )
    yield (
        "traffic",
        f"{report.sent_bytes / 1e6:.1f} MB out, {report.received_bytes / 1e6:.1f} MB in",
    )
    yield "generator", f"{report.generator_us:.0f} µs of processor time per request"


def _list_outcomes(outcomes: Mapping[str, int], color: str = "yellow") -> str:
    if not outcomes:
        return "0"
    listed = ", ".join(f"{reason} × {count}" for reason, count in outcomes.items())
    return f"[{color}]{sum(outcomes.values())}[/] ({listed})"
