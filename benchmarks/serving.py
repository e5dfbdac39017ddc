"""What does serving cost, and what does it save? Ratios of the server to a plain loop.

    python benchmarks/serving.py [--workloads A,B] [--rounds 3] [--seconds 4] [--json FILE]

`lacuna serve` and a loop over the same SavedModel and the same images (see `raw_loop.py`) take
turns in one run: while one is measured, the other is idle. For each workload the loop first finds
its own best layout of workers, threads and batch. Every answer of the server is held against the
loop's, for which each image is run alone and whole. docs/benchmarking.md says what each workload is
for.

The exit status is 1 if a label differed or a request failed; missed targets are only shown.
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

from benchmarks.contestants import RawLoop, start_raw_loop, start_server
from benchmarks.layouts import WARMUP_S, find_best_layout, measure_layout
from benchmarks.tables import draw_company, draw_contests, draw_fractions
from service.bench.load import run_in_loop, run_load
from service.bench.load_profile import LoadProfile
from service.bench.prepared_request import PreparedRequest, prepare_request
from service.bench.report import Report, make_report
from service.bench.session import find_model
from service.bench.workload import Workload, draw_samples, parse_sizes
from service.engine.layout import count_cores

DEMO = Path(__file__).parents[1] / "service" / "demo" / "models" / "groundcover" / "1"

TIMEOUT_S = 600.0
WINDOW_SIDE = 1136
WHOLE_BYTES_PER_PIXEL = 620  # of the demo model, for an image in one piece

FRACTIONS = (1.0, 0.5, 0.25, 0.1, 0.0)
SMALL_PER_S = 40.0


class Contest(NamedTuple):
    """One workload on which the server is set against the loop.

    Attributes:
        title: for people.
        images: what is asked.
        connections: that ask at once.
        target: the least that server / loop should be.
    """

    title: str
    images: Workload
    connections: int
    target: float


@dataclass(frozen=True)
class Arena:
    """Where contests are held.

    Attributes:
        server: of the server.
        loops: by how many threads a call of theirs takes.
        folder: of the model.
        channels: that it takes.
        region: where missing pixels lie.
        rounds: of each measurement.
        seconds: that each takes.
        console: to tell what is being done.
    """

    server: httpx2.URL
    loops: Mapping[int, RawLoop]
    folder: Path
    channels: int
    region: str
    rounds: int
    seconds: float
    console: Console

    def draw(self, workload: Workload) -> Workload:
        """Give a workload as this arena has it."""
        return replace(workload, channels=self.channels, region=self.region)

    def tell(self, text: str) -> None:
        """Tell what is being done."""
        self.console.log(text)


def list_contests() -> dict[str, Contest]:
    """List the workloads on which the server is set against the loop."""
    return {
        "A": Contest("64×64", Workload(256, (parse_sizes("64"),)), 32, 0.85),
        "B": Contest("48…384, all different", Workload(256, (parse_sizes("48-384"),)), 16, 0.98),
        "C": Contest("1024×1024", Workload(8, (parse_sizes("1024"),)), 4, 0.97),
        "D": Contest("512×512, 60 % missing", Workload(16, (parse_sizes("512"),), (0.4,)), 8, 1.8),
    }


def prepare(arena: Arena, name: str, workload: Workload) -> list[PreparedRequest]:
    """Draw images, let the loop answer each alone and whole, and make requests of them."""
    loop = arena.loops[max(arena.loops)]
    loop.draw(name, workload)
    answers = loop.answer(name)
    loop.forget(name)
    return [
        prepare_request(arena.server, sample, expected=answer)
        for sample, answer in zip(draw_samples(workload), answers, strict=True)
    ]


def drive(arena: Arena, requests: Sequence[PreparedRequest], profile: LoadProfile) -> Report:
    """Load the server."""
    return make_report(run_in_loop(lambda: run_load(arena.server, requests, profile)), requests)


def hold_contest(arena: Arena, name: str, contest: Contest) -> dict[str, Any]:
    """Measure loop and server in turn."""
    workload = arena.draw(contest.images)
    arena.tell(f"{name}: {contest.title}: the loop answers each image alone")
    requests = prepare(arena, name, workload)
    arena.tell(f"{name}: the server answers each image")
    first = LoadProfile(contest.connections, requests=len(requests), timeout_s=TIMEOUT_S)
    reports = [drive(arena, requests, first)]
    arena.tell(f"{name}: the loop looks for its best layout")
    layout = find_best_layout(arena.loops, name, workload, max(arena.loops))
    profile = LoadProfile(
        contest.connections, duration_s=arena.seconds, warmup_s=WARMUP_S, timeout_s=TIMEOUT_S
    )
    rounds = []
    for number in range(arena.rounds):
        # Whoever is second finds the machine warmer; so they take turns at that, too.
        if number % 2:
            reports.append(drive(arena, requests, profile))
        told = measure_layout(arena.loops, name, layout, arena.seconds)
        if not number % 2:
            reports.append(drive(arena, requests, profile))
        ratio = reports[-1].megapixels_per_s / told["megapixels_per_s"]
        rounds.append({"ratio": ratio, "loop": told, "server": reports[-1].to_json()})
        arena.tell(f"{name}: round {number + 1}: {ratio:.3f}")
    for loop in arena.loops.values():
        loop.forget(name)
    return {
        "title": f"{contest.title}, {contest.connections} connections",
        "target": contest.target,
        "layout": layout._asdict(),
        "rounds": rounds,
        **summarize(reports),
    }


def measure_fractions(arena: Arena, side: int) -> dict[str, Any]:
    """Measure how long one image takes, by how much of it is valid."""
    arena.tell(f"E: {side}×{side}: the loop answers each image alone")
    sizes = (parse_sizes(str(side)),)
    asked = {
        valid: prepare(arena, "E", arena.draw(Workload(2, sizes, (valid,), seed=index)))
        for index, valid in enumerate(FRACTIONS)
    }
    reports = []
    times: dict[float, list[float]] = {valid: [] for valid in FRACTIONS}
    for number in range(arena.rounds + 1):
        for valid in FRACTIONS if number % 2 else FRACTIONS[::-1]:
            profile = LoadProfile(
                1, requests=len(asked[valid]) if valid > 0.3 else 5, timeout_s=TIMEOUT_S
            )
            report = drive(arena, asked[valid], profile)
            reports.append(report)
            if number:  # the first time is warming
                times[valid].append(report.latency_s.p50)
        arena.tell(f"E: round {number}" if number else "E: warm")
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


def measure_company(arena: Arena, side: int) -> dict[str, Any]:
    """Measure small images alone, and beside a huge one."""
    arena.tell(f"F: {side}×{side} beside 64×64: the loop answers each image alone")
    small = prepare(arena, "F", arena.draw(Workload(64, (parse_sizes("64"),))))
    huge_workload = arena.draw(Workload(1, (parse_sizes(str(side)),)))
    if read_free_bytes() > 1.3 * WHOLE_BYTES_PER_PIXEL * side**2:
        with start_raw_loop(arena.folder, max(arena.loops)) as loop:
            huge = prepare(replace(arena, loops={1: loop}), "F", huge_workload)
    else:
        arena.tell("F: there is no memory to run the huge image whole: its labels go unchecked")
        huge = [prepare_request(arena.server, one) for one in draw_samples(huge_workload)]
    window_s = arena.loops[1].time_square(WINDOW_SIDE, arena.channels)
    reports = [drive(arena, huge, LoadProfile(1, requests=1, timeout_s=TIMEOUT_S))]
    seconds = max(arena.seconds, 1.1 * reports[0].latency_s.max)
    stream = LoadProfile(128, SMALL_PER_S, seconds, warmup_s=WARMUP_S, timeout_s=TIMEOUT_S)
    neighbour = LoadProfile(1, duration_s=seconds, warmup_s=WARMUP_S, timeout_s=TIMEOUT_S)

    async def drive_both(seed: int) -> tuple[Report, Report]:
        runs = await asyncio.gather(
            run_load(arena.server, small, replace(stream, seed=seed)),
            run_load(arena.server, huge, neighbour),
        )
        return make_report(runs[0], small), make_report(runs[1], huge)

    rounds = []
    for number in range(arena.rounds):
        alone = drive(arena, small, replace(stream, seed=number))
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
        arena.tell(
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
    """Sum up what must not happen in any of several runs."""
    return {
        "checked_answers": sum(report.checked_answers for report in reports),
        "differing_labels": sum(report.differing_labels for report in reports),
        "refused": sum(sum(report.refused.values()) for report in reports),
        "failed": sum(sum(report.failed.values()) for report in reports),
    }


def read_free_bytes() -> int:
    """Give the bytes of memory that are to be had; much where that cannot be told."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 1 << 40


def describe_machine() -> dict[str, Any]:
    """Say what all this was measured on."""
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
    parser.add_argument("--workloads", default="A,B,C,D,E,F", help="which, with commas")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement")
    parser.add_argument("--seconds", type=float, default=4.0, help="that each takes")
    parser.add_argument("--region", default="side", help="where missing pixels lie in D and E")
    parser.add_argument("--huge", type=int, default=4096, help="side of the huge image in F")
    parser.add_argument("--model", type=Path, default=DEMO, help="<repository>/<model>/<version>")
    parser.add_argument("--json", type=Path, help="where to write all numbers")
    return parser.parse_args()


def run(arguments: argparse.Namespace, console: Console) -> dict[str, dict[str, Any]]:
    """Start the contestants and hold every contest that is asked for."""
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
        arena = Arena(
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
            name: hold_contest(arena, name, contest)
            for name, contest in list_contests().items()
            if name in wanted
        }
        if "E" in wanted:
            results["E"] = measure_fractions(arena, 2048)
        if "F" in wanted:
            results["F"] = measure_company(arena, arguments.huge)
    return results


def main() -> None:
    """Measure and print."""
    arguments = read_arguments()
    # The contestants end with this process, also when it is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    machine = describe_machine()
    results = run(arguments, Console(stderr=True))
    if arguments.json:
        content = {"machine": machine, "results": results}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    console = Console(width=max(Console().width, 140))
    contests = {name: result for name, result in results.items() if name in list_contests()}
    if contests:
        console.print(draw_contests(contests))
    if "E" in results:
        console.print(draw_fractions(results["E"]))
    if "F" in results:
        console.print(draw_company(results["F"]))
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
