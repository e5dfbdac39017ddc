"""Does memory stay bounded, whatever sizes come?

    python benchmarks/memory.py [--sizes 500] [--requests 2000] [--huge 8192]

`lacuna serve` is started and says what its process holds (`process_resident_memory_bytes`): after
the warm-up, after many images of as many sizes, and at the most while one huge image is answered.
What a huge image may add is itself, its mask, its labels and the windows that are computed at once,
most of whose room is held since the warm-up.

The exit status is 1 if a request failed; missed bounds are only shown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.contestants import start_server
from benchmarks.serving import DEMO, WHOLE_BYTES_PER_PIXEL
from benchmarks.tables import mark
from service.bench.ask import ask_once
from service.bench.load import run_in_loop, run_load
from service.bench.plan import Plan
from service.bench.question import Address, Question, build_question
from service.bench.report import make_report
from service.bench.workload import Workload, draw_samples, parse_sizes
from service.core.windows import Tiling
from service.engine.thread_allocation import count_cores

CHANNELS = 3
TIMEOUT_S = 600.0
GROWTH = 1.10
LOOK_S = 0.05

_RESIDENT = re.compile(rb"^process_resident_memory_bytes (\S+)$", re.MULTILINE)


async def read_resident_bytes(address: Address) -> float:
    """Ask a server how many bytes its process holds."""
    _, text = await ask_once(address, address.build_head("GET", "/metrics"), TIMEOUT_S)
    found = _RESIDENT.search(text)
    if found is None:
        raise RuntimeError("the server must tell process_resident_memory_bytes; it does not")
    return float(found[1])


async def watch_peak(address: Address, question: Question) -> tuple[int, float]:
    """Ask a question, and give the answer's status and the most bytes held meanwhile."""
    peak = 0.0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, await read_resident_bytes(address))
            await asyncio.sleep(LOOK_S)

    watching = asyncio.create_task(watch())
    status, _ = await ask_once(address, question.request, TIMEOUT_S)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return status, peak


def draw_questions(address: Address, images: int, sizes: str) -> list[Question]:
    """Draw images of as many sizes."""
    workload = Workload(images, (parse_sizes(sizes),), channels=CHANNELS)
    return [build_question(address, sample) for sample in draw_samples(workload)]


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
    with start_server(DEMO) as address:
        warm = run_in_loop(lambda: read_resident_bytes(address))
        many = draw_questions(address, arguments.sizes, "48-384")
        plan = Plan(16, requests=arguments.requests, timeout_s=TIMEOUT_S)
        report = make_report(run_in_loop(lambda: run_load(address, many, plan)), many)
        after = run_in_loop(lambda: read_resident_bytes(address))
        (huge,) = draw_questions(address, 1, str(arguments.huge))
        status, peak = run_in_loop(lambda: watch_peak(address, huge))
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
