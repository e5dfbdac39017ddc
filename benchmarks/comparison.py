"""Processes, requests and counts that all comparisons of a server with plain loops share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
from rich.console import Console

from benchmarks.processes import RawLoop
from service.bench.load import run_in_loop, run_load
from service.bench.load_profile import LoadProfile
from service.bench.prepared_request import PreparedRequest, prepare_request
from service.bench.report import Report, make_report
from service.bench.session import answer_alone
from service.bench.workload import Workload, draw_samples

DEMO = Path(__file__).parents[1] / "service" / "demo" / "models" / "groundcover" / "1"

TIMEOUT_S = 600.0

WHOLE_BYTES_PER_PIXEL = 620
"""Memory that `groundcover` takes for an image in one piece."""

BEYOND = ("slant", "swath")
"""Regions of the missing pixels: beyond a line, and beside a swath, at any angle."""


@dataclass(frozen=True)
class Setup:
    """Processes to measure, and how to measure them.

    Attributes:
        server: URL of the server.
        loops: plain loops, by the number of threads of a call.
        folder: folder of the model.
        channels: number of channels of its images.
        rounds: number of rounds of each measurement.
        seconds: length of each measurement.
        console: console for progress messages.
    """

    server: httpx2.URL
    loops: Mapping[int, RawLoop]
    folder: Path
    channels: int
    rounds: int
    seconds: float
    console: Console

    def adapt(self, workload: Workload) -> Workload:
        """Return a workload with the channels of this setup."""
        return replace(workload, channels=self.channels)

    def log(self, text: str) -> None:
        """Log a progress message."""
        self.console.log(text)


def prepare(setup: Setup, name: str, workload: Workload) -> list[PreparedRequest]:
    """Draw images, let the loop label each alone and whole, and prepare their requests."""
    loop = setup.loops[max(setup.loops)]
    loop.draw(name, workload)
    answers = loop.answer(name)
    loop.forget(name)
    return [
        prepare_request(setup.server, sample, expected=answer)
        for sample, answer in zip(draw_samples(workload), answers, strict=True)
    ]


def prepare_alone(setup: Setup, workload: Workload) -> list[PreparedRequest]:
    """Draw images, let the server label each alone, and prepare their requests."""
    requests = [prepare_request(setup.server, sample) for sample in draw_samples(workload)]
    return run_in_loop(lambda: answer_alone(setup.server, requests, TIMEOUT_S))


def drive(setup: Setup, requests: Sequence[PreparedRequest], profile: LoadProfile) -> Report:
    """Load the server."""
    return make_report(run_in_loop(lambda: run_load(setup.server, requests, profile)), requests)


def summarize(reports: Sequence[Report]) -> dict[str, int]:
    """Sum up the differing labels, refusals and failures of several runs."""
    return {
        "checked_answers": sum(report.checked_answers for report in reports),
        "differing_labels": sum(report.differing_labels for report in reports),
        "refused": sum(sum(report.refused.values()) for report in reports),
        "failed": sum(sum(report.failed.values()) for report in reports),
    }


def read_free_bytes() -> int:
    """Return the bytes of available memory; a large number where that is unknown."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 1 << 40
