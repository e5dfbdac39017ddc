"""Memory and start of a server: is it small, and does it stay bounded, whatever the images?

    python benchmarks/memory.py [--sizes 500] [--requests 2000] [--huge 8192]

Starts `lacuna serve` several times, without and with what it has measured of the model before.
Reads the processor time of its process once it is ready (`process_cpu_seconds_total`); medians are
shown. Then starts one more, and reads its resident memory (`process_resident_memory_bytes`) after
the warm-up, after many images of as many sizes, and at its peak while one huge image is answered. A
huge image may add its own size, its mask, its labels, and its answer. The limits are those of the
demo on two workers.

The exit status is 1 if a request failed. Missed limits are only shown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import httpx2
from rich.console import Console
from rich.table import Table

from benchmarks.comparison import DEMO
from benchmarks.processes import start_server
from benchmarks.rows import Row, write_rows
from benchmarks.tables import mark
from service.bench.load import run_in_loop, run_load
from service.bench.load_profile import LoadProfile
from service.bench.prepared_request import PreparedRequest, encode_request, prepare_request
from service.bench.report import make_report
from service.bench.session import send_once
from service.bench.workload import Workload, draw_samples, parse_sizes

CHANNELS = 3
TIMEOUT_S = 600.0
LOOK_S = 0.05
HUGE_BYTES = CHANNELS + 3
"""Bytes per pixel that an image itself takes: values, mask, labels, and the answer's bytes."""

_VALUE = r"^{name} (\S+)$"
_RESIDENT = "process_resident_memory_bytes"
_CPU = "process_cpu_seconds_total"


async def read_metric(server: httpx2.URL, name: str) -> float:
    """Read a metric without labels from a server."""
    response = await send_once(server, encode_request("GET", server, "/metrics"), TIMEOUT_S)
    found = re.search(_VALUE.format(name=name).encode(), response.body, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the server must export {name}; it does not")
    return float(found[1])


async def watch_peak(server: httpx2.URL, request: PreparedRequest) -> tuple[int, float]:
    """Send a request; return the status of its answer and the peak of memory meanwhile."""
    peak = 0.0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, await read_metric(server, _RESIDENT))
            await asyncio.sleep(LOOK_S)

    watching = asyncio.create_task(watch())
    response = await send_once(server, request.content, TIMEOUT_S)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return response.status, peak


@contextlib.contextmanager
def start(cache: Path) -> Iterator[httpx2.URL]:
    """Start a server with a cache folder."""
    os.environ["LACUNA_CACHE_FOLDER"] = str(cache)
    with start_server(DEMO) as server:
        yield server


def measure_start(cache: Path) -> float:
    """Return the processor seconds of a start with a cache folder."""
    with start(cache) as server:
        return run_in_loop(lambda: read_metric(server, _CPU))


def draw_requests(server: httpx2.URL, images: int, sizes: str) -> list[PreparedRequest]:
    """Prepare requests for images of as many sizes."""
    workload = Workload(images, (parse_sizes(sizes),), channels=CHANNELS)
    return [prepare_request(server, sample) for sample in draw_samples(workload)]


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, default=500, help="different sizes, of 48 … 384")
    parser.add_argument("--requests", type=int, default=2000, help="for images of these sizes")
    parser.add_argument("--huge", type=int, default=8192, help="side of the huge image")
    parser.add_argument("--starts", type=int, default=3, help="of each kind; medians are shown")
    parser.add_argument("--rows", type=Path, help="file to write the figures for the record to")
    return parser.parse_args()


def measure(arguments: argparse.Namespace, folder: Path) -> tuple[list[Row], int]:
    """Measure all values; return them, and the number of failed requests."""
    pixels = arguments.huge**2
    caches = [folder / str(number) for number in range(arguments.starts)]
    cold = [measure_start(cache) for cache in caches]
    cached = [measure_start(cache) for cache in caches]  # which are no longer empty
    with start(caches[0]) as server:
        warm = run_in_loop(lambda: read_metric(server, _RESIDENT))
        many = draw_requests(server, arguments.sizes, "48-384")
        profile = LoadProfile(16, requests=arguments.requests, timeout_s=TIMEOUT_S)
        report = make_report(run_in_loop(lambda: run_load(server, many, profile)), many)
        after = run_in_loop(lambda: read_metric(server, _RESIDENT))
        (huge,) = draw_requests(server, 1, str(arguments.huge))
        status, peak = run_in_loop(lambda: watch_peak(server, huge))
    requests = f"after {report.answered} requests of {arguments.sizes} sizes"
    image = f"with one image of {arguments.huge}×{arguments.huge}, beside the image"
    figures = [
        ("start-cold", "start without a cache, processor time", median(cold), 12, "s"),
        ("start-cached", "start with a cache, processor time", median(cached), 6, "s"),
        ("memory-warm", "memory after the warm-up", warm / 1e9, 1.3, "GB"),
        ("memory-sizes", f"memory {requests}", after / 1e9, 1.5, "GB"),
        ("memory-huge", f"memory {image}", (peak - HUGE_BYTES * pixels) / 1e9, 1.5, "GB"),
    ]
    rows = [Row(*figure, is_limit=True) for figure in figures]
    return rows, sum(report.failed.values()) + (status != 200)


def main() -> None:
    """Measure and print."""
    arguments = read_arguments()
    pixels = arguments.huge**2
    os.environ["LACUNA_LIMITS__IMAGE_PIXELS"] = str(pixels)
    os.environ["LACUNA_LIMITS__BODY_BYTES"] = str((CHANNELS + 1) * pixels + 65_536)
    with tempfile.TemporaryDirectory(prefix="lacuna-") as folder:
        rows, failed = measure(arguments, Path(folder))
    if arguments.rows:
        write_rows(arguments.rows, rows)
    table = Table("", "", "limit", "", box=None)
    for row in rows:
        value = f"{row.value:.2f} {row.unit}"
        table.add_row(row.title, value, f"{row.target:g} {row.unit}", mark(holds=row.holds))
    Console().print(table)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
