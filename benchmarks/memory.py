"""Memory of a server: does it stay bounded, whatever the sizes of the images?

    python benchmarks/memory.py [--sizes 500] [--requests 2000] [--huge 8192]

Starts `lacuna serve` and reads the resident memory of its process (`process_resident_memory_bytes`)
after the warm-up, after many images of as many sizes, and at its peak while one huge image is
answered. A huge image may add its own size, its mask, its labels, and the windows that are computed
at the same time. Most of the memory of these windows is already held after the warm-up.

The exit status is 1 if a request failed. Missed bounds are only shown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import sys

import httpx2
from rich.console import Console
from rich.table import Table

from benchmarks.processes import start_server
from benchmarks.serving import DEMO, WHOLE_BYTES_PER_PIXEL
from benchmarks.tables import mark
from lacuna.windows.tiling import Tiling
from service.bench.load import run_in_loop, run_load
from service.bench.load_profile import LoadProfile
from service.bench.prepared_request import PreparedRequest, encode_request, prepare_request
from service.bench.report import make_report
from service.bench.session import send_once
from service.bench.workload import Workload, draw_samples, parse_sizes
from service.engine.thread_allocation import count_cores

CHANNELS = 3
TIMEOUT_S = 600.0
GROWTH = 1.10
LOOK_S = 0.05

_RESIDENT = re.compile(rb"^process_resident_memory_bytes (\S+)$", re.MULTILINE)


async def read_resident_bytes(server: httpx2.URL) -> float:
    """Read the resident memory of a server's process from its metrics, in bytes."""
    response = await send_once(server, encode_request("GET", server, "/metrics"), TIMEOUT_S)
    found = _RESIDENT.search(response.body)
    if found is None:
        raise RuntimeError("the server must export process_resident_memory_bytes; it does not")
    return float(found[1])


async def watch_peak(server: httpx2.URL, request: PreparedRequest) -> tuple[int, float]:
    """Send a request; return the status of its answer and the peak of memory meanwhile."""
    peak = 0.0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, await read_resident_bytes(server))
            await asyncio.sleep(LOOK_S)

    watching = asyncio.create_task(watch())
    response = await send_once(server, request.content, TIMEOUT_S)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return response.status, peak


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
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments = read_arguments()
    pixels = arguments.huge**2
    os.environ["LACUNA_LIMITS__IMAGE_PIXELS"] = str(pixels)
    os.environ["LACUNA_LIMITS__BODY_BYTES"] = str((CHANNELS + 1) * pixels + 65_536)
    with start_server(DEMO) as server:
        warm = run_in_loop(lambda: read_resident_bytes(server))
        many = draw_requests(server, arguments.sizes, "48-384")
        profile = LoadProfile(16, requests=arguments.requests, timeout_s=TIMEOUT_S)
        report = make_report(run_in_loop(lambda: run_load(server, many, profile)), many)
        after = run_in_loop(lambda: read_resident_bytes(server))
        (huge,) = draw_requests(server, 1, str(arguments.huge))
        status, peak = run_in_loop(lambda: watch_peak(server, huge))
    windows = count_cores() * Tiling.max_pixels
    held = (CHANNELS + 2) * pixels + windows * WHOLE_BYTES_PER_PIXEL
    table = Table("", "MB", "", "", box=None)
    table.add_row("after the warm-up", f"{warm / 1e6:.0f}")
    table.add_row(
        f"after {report.answered} requests of {arguments.sizes} sizes",
        f"{after / 1e6:.0f}",
        f"{after / warm:.3f} (≤ {GROWTH:g})",
        mark(holds=after <= GROWTH * warm),
    )
    table.add_row(
        f"at most with one image of {arguments.huge}×{arguments.huge}",
        f"{peak / 1e6:.0f}",
        f"{(peak - after) / 1e6:+.0f} (≤ {held / 1e6:+.0f})",
        mark(holds=peak - after <= held),
    )
    Console().print(table)
    sys.exit(1 if report.failed or status != 200 else 0)


if __name__ == "__main__":
    main()
