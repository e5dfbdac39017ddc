"""Cost of serving, and what it saves: ratios of the server to a plain loop.

    python benchmarks/serving.py [--workloads A,B] [--rounds 3] [--seconds 4] [--json FILE]

`lacuna serve` and a loop over the same SavedModel and the same images (see `raw_loop.py`) take
turns in one run: while one is measured, the other is idle. For each workload, the best numbers of
workers, threads and images per batch are found for the loop first. Every answer of the server is
compared with the loop's, which runs each image alone and whole. docs/benchmarking.md describes the
workloads.

The exit status is 1 if a label differed or a request failed. Missed targets are only shown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from rich.console import Console

from benchmarks.loop_tuning import WARMUP_S, find_best_settings, measure_loop
from benchmarks.processes import RawLoop, start_raw_loop, start_server
from benchmarks.tables import draw_fractions, draw_isolation, draw_scenarios
from service.bench.load import run_in_loop, run_load
from service.bench.load_profile import LoadProfile
from service.bench.prepared_request import PreparedRequest, prepare_request
from service.bench.report import Report, make_report
from service.bench.session import find_model
from service.bench.workload import Workload, draw_samples, parse_sizes
from service.engine.thread_allocation import count_cores

DEMO = Path(__file__).parents[1] / "service" / "demo" / "models" / "groundcover" / "1"

TIMEOUT_S = 600.0
WINDOW_SIDE = 1136
WHOLE_BYTES_PER_PIXEL = 620  # of the demo model, for an image in one piece

FRACTIONS = (1.0, 0.5, 0.25, 0.1, 0.0)
SMALL_PER_S = 40.0


class Scenario(NamedTuple):
    """Workload on which the server is compared with the loop.

    Attributes:
        title: short description.
        images: images to send.
        connections: number of connections.
        target: lowest acceptable ratio of server to loop.
    """

    title: str
    images: Workload
    connections: int
    target: float


@dataclass(frozen=True)
class Setup:
    """Processes to measure, and how to measure them.

    Attributes:
        server: URL of the server.
        loops: plain loops, by the number of threads of a call.
        folder: folder of the model.
        channels: number of channels of its images.
        region: region of the missing pixels.
        rounds: number of rounds of each measurement.
        seconds: length of each measurement.
        console: console for progress messages.
    """

    server: httpx2.URL
    loops: Mapping[int, RawLoop]
    folder: Path
    channels: int
    region: str
    rounds: int
    seconds: float
    console: Console

    def adapt(self, workload: Workload) -> Workload:
        """Return a workload with the channels and the region of this setup."""
        return replace(workload, channels=self.channels, region=self.region)

    def log(self, text: str) -> None:
        """Log a progress message."""
        self.console.log(text)


def list_scenarios() -> dict[str, Scenario]:
    """List the workloads on which the server is compared with the loop."""
    return {
        "A": Scenario("64×64", Workload(256, (parse_sizes("64"),)), 32, 0.85),
        "B": Scenario("48…384, all different", Workload(256, (parse_sizes("48-384"),)), 16, 0.98),
        "C": Scenario("1024×1024", Workload(8, (parse_sizes("1024"),)), 4, 0.97),
        "D": Scenario("512×512, 60 % missing", Workload(16, (parse_sizes("512"),), (0.4,)), 8, 1.8),
    }


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


def drive(setup: Setup, requests: Sequence[PreparedRequest], profile: LoadProfile) -> Report:
    """Load the server."""
    return make_report(run_in_loop(lambda: run_load(setup.server, requests, profile)), requests)


def compare_throughput(setup: Setup, name: str, scenario: Scenario) -> dict[str, Any]:
    """Measure the throughput of loop and server in turn."""
    workload = setup.adapt(scenario.images)
    setup.log(f"{name}: {scenario.title}: the loop labels each image alone")
    requests = prepare(setup, name, workload)
    setup.log(f"{name}: the server answers each image")
    first = LoadProfile(scenario.connections, requests=len(requests), timeout_s=TIMEOUT_S)
    reports = [drive(setup, requests, first)]
    setup.log(f"{name}: finding the best settings of the loop")
    settings = find_best_settings(setup.loops, name, workload, max(setup.loops))
    profile = LoadProfile(
        scenario.connections, duration_s=setup.seconds, warmup_s=WARMUP_S, timeout_s=TIMEOUT_S
    )
    rounds = []
    for number in range(setup.rounds):
        # The second one finds the machine warmer, so the order alternates.
        if number % 2:
            reports.append(drive(setup, requests, profile))
        plain = measure_loop(setup.loops, name, settings, setup.seconds)
        if not number % 2:
            reports.append(drive(setup, requests, profile))
        ratio = reports[-1].megapixels_per_s / plain["megapixels_per_s"]
        rounds.append({"ratio": ratio, "loop": plain, "server": reports[-1].to_json()})
        setup.log(f"{name}: round {number + 1}: {ratio:.3f}")
    for loop in setup.loops.values():
        loop.forget(name)
    return {
        "title": f"{scenario.title}, {scenario.connections} connections",
        "target": scenario.target,
        "settings": settings._asdict(),
        "rounds": rounds,
        **summarize(reports),
    }


def measure_fractions(setup: Setup, side: int) -> dict[str, Any]:
    """Measure the time of one image by its fraction of valid pixels."""
    setup.log(f"E: {side}×{side}: the loop labels each image alone")
    sizes = (parse_sizes(str(side)),)
    asked = {
        valid: prepare(setup, "E", setup.adapt(Workload(2, sizes, (valid,), seed=index)))
        for index, valid in enumerate(FRACTIONS)
    }
    reports = []
    times: dict[float, list[float]] = {valid: [] for valid in FRACTIONS}
    for number in range(setup.rounds + 1):
        for valid in FRACTIONS if number % 2 else FRACTIONS[::-1]:
            profile = LoadProfile(
                1, requests=len(asked[valid]) if valid > 0.3 else 5, timeout_s=TIMEOUT_S
            )
            report = drive(setup, asked[valid], profile)
            reports.append(report)
            if number:  # the first round warms up
                times[valid].append(report.latency_s.p50)
        setup.log(f"E: round {number}" if number else "E: warm")
    ratios = {
        valid: statistics.median(
            one / whole for one, whole in zip(times[valid], times[1.0], strict=True)
        )
        for valid in FRACTIONS
    }
    return {
        "title": f"{side}×{side}, one at a time",
        "rows": [
            {
                "valid": valid,
                "median_s": statistics.median(times[valid]),
                "ratio": ratios[valid],
                "bound": 1.3 * valid + 0.05,
            }
            for valid in FRACTIONS
        ],
        **summarize(reports),
    }


def measure_isolation(setup: Setup, side: int) -> dict[str, Any]:
    """Measure the latency of small images alone, and beside a huge one."""
    setup.log(f"F: {side}×{side} beside 64×64: the loop labels each image alone")
    small = prepare(setup, "F", setup.adapt(Workload(64, (parse_sizes("64"),))))
    huge_workload = setup.adapt(Workload(1, (parse_sizes(str(side)),)))
    if read_free_bytes() > 1.3 * WHOLE_BYTES_PER_PIXEL * side**2:
        with start_raw_loop(setup.folder, max(setup.loops)) as loop:
            huge = prepare(replace(setup, loops={1: loop}), "F", huge_workload)
    else:
        setup.log("F: too little memory to run the huge image whole: its labels are not checked")
        huge = [prepare_request(setup.server, one) for one in draw_samples(huge_workload)]
    window_s = setup.loops[1].time_square(WINDOW_SIDE, setup.channels)
    reports = [drive(setup, huge, LoadProfile(1, requests=1, timeout_s=TIMEOUT_S))]
    seconds = max(setup.seconds, 1.1 * reports[0].latency_s.max)
    stream = LoadProfile(128, SMALL_PER_S, seconds, warmup_s=WARMUP_S, timeout_s=TIMEOUT_S)
    neighbour = LoadProfile(1, duration_s=seconds, warmup_s=WARMUP_S, timeout_s=TIMEOUT_S)

    async def drive_both(seed: int) -> tuple[Report, Report]:
        runs = await asyncio.gather(
            run_load(setup.server, small, replace(stream, seed=seed)),
            run_load(setup.server, huge, neighbour),
        )
        return make_report(runs[0], small), make_report(runs[1], huge)

    rounds = []
    for number in range(setup.rounds):
        alone = drive(setup, small, replace(stream, seed=number))
        beside, other = run_in_loop(partial(drive_both, number))
        reports += [alone, beside, other]
        rounds.append(
            {
                "alone_p99_s": alone.latency_s.p99,
                "beside_p50_s": beside.latency_s.p50,
                "beside_p99_s": beside.latency_s.p99,
                "bound_s": 3 * alone.latency_s.p99 + window_s,
                "huge_s": 1 / max(other.images_per_s, 1e-9),
            }
        )
        setup.log(
            f"F: round {number + 1}: {alone.latency_s.p99 * 1e3:.1f} ms alone, "
            f"{beside.latency_s.p99 * 1e3:.1f} ms beside"
        )
    return {
        "title": f"64×64 at {SMALL_PER_S:g}/s beside {side}×{side}",
        "window": {"side": WINDOW_SIDE, "median_s": window_s},
        "huge_checked": huge[0].expected is not None,
        "rounds": rounds,
        **summarize(reports),
    }


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


def describe_machine() -> dict[str, Any]:
    """Describe the machine."""
    return {
        "cores": count_cores(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workloads", default="A,B,C,D,E,F", help="letters, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--region", default="side", help="region of the missing pixels in D and E")
    parser.add_argument("--huge", type=int, default=4096, help="side of the huge image in F")
    parser.add_argument("--model", type=Path, default=DEMO, help="<repository>/<model>/<version>")
    parser.add_argument("--json", type=Path, help="file to write all numbers to")
    return parser.parse_args()


def run(arguments: argparse.Namespace, console: Console) -> dict[str, dict[str, Any]]:
    """Start server and loops, and run every measurement that is asked for."""
    wanted = [name.strip() for name in arguments.workloads.split(",")]
    with ExitStack() as stack:
        folder = arguments.model.resolve()
        console.log("starting the server")
        server = stack.enter_context(start_server(folder))
        loops = {
            threads: stack.enter_context(start_raw_loop(folder, threads))
            for threads in sorted({1, count_cores()})
        }
        model = run_in_loop(lambda: find_model(server, None, TIMEOUT_S))
        setup = Setup(
            server,
            loops,
            folder,
            model.channels,
            arguments.region,
            arguments.rounds,
            arguments.seconds,
            console,
        )
        results = {
            name: compare_throughput(setup, name, scenario)
            for name, scenario in list_scenarios().items()
            if name in wanted
        }
        if "E" in wanted:
            results["E"] = measure_fractions(setup, 2048)
        if "F" in wanted:
            results["F"] = measure_isolation(setup, arguments.huge)
    return results


def main() -> None:
    """Measure and print."""
    arguments = read_arguments()
    # SIGTERM must end the server and the loops too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    machine = describe_machine()
    results = run(arguments, Console(stderr=True))
    if arguments.json:
        content = {"machine": machine, "results": results}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    console = Console(width=max(Console().width, 140))
    scenarios = {name: result for name, result in results.items() if name in list_scenarios()}
    if scenarios:
        console.print(draw_scenarios(scenarios))
    if "E" in results:
        console.print(draw_fractions(results["E"]))
    if "F" in results:
        console.print(draw_isolation(results["F"]))
    totals = {
        key: sum(result[key] for result in results.values())
        for key in ("checked_answers", "differing_labels", "refused", "failed")
    }
    console.print(
        "{differing_labels} labels differ in {checked_answers} answers; {refused} requests were "
        "refused, {failed} failed".format(**totals)
    )
    console.print(f"{machine['cores']} cores, load {machine['load_before']:.1f} before the start")
    sys.exit(1 if totals["differing_labels"] or totals["failed"] else 0)


if __name__ == "__main__":
    main()
