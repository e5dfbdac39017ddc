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
import json
import os
import platform
import signal
import statistics
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.comparison import DEMO, TIMEOUT_S, Setup
from benchmarks.isolation import measure_isolation
from benchmarks.processes import start_raw_loop, start_server
from benchmarks.rows import Row, write_rows
from benchmarks.sparse import measure_fractions
from benchmarks.tables import draw_fractions, draw_isolation, draw_scenarios
from benchmarks.throughput import compare_throughput, list_scenarios
from benchmarks.whole import compare_whole
from service.bench.load import run_in_loop
from service.bench.session import find_model
from service.engine.thread_allocation import count_cores
from service.runtime.precision import has_bfloat16_instructions


def describe_machine() -> dict[str, Any]:
    """Describe the machine."""
    return {
        "cores": count_cores(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def list_rows(results: Mapping[str, dict[str, Any]]) -> Iterator[Row]:
    """List the figures of the record."""
    for name, result in results.items():
        if name == "E":
            for row in result["rows"]:
                if row["valid"] < 1:
                    title = f"{result['title']}, {100 * row['valid']:.0f} % valid"
                    yield Row(
                        f"E{row['valid']:.2f}", title, row["ratio"], row["bound"], is_limit=True
                    )
        elif name == "F":
            shares = [one["beside_p99_s"] / one["bound_s"] for one in result["rounds"]]
            title = f"{result['title']}: p99 / bound"
            yield Row("F", title, statistics.median(shares), 1.0, is_limit=True)
        else:
            ratios = [one["ratio"] for one in result["rounds"]]
            yield Row(name, result["title"], statistics.median(ratios), result["target"])


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--workloads", default="A,B,C,D,D16,E,F,G", help="letters, separated by commas"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--huge", type=int, default=4096, help="side of the huge image in F, G")
    parser.add_argument("--model", type=Path, default=DEMO, help="<repository>/<model>/<version>")
    parser.add_argument("--json", type=Path, help="file to write all numbers to")
    parser.add_argument("--rows", type=Path, help="file to write the figures for the record to")
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
            arguments.rounds,
            arguments.seconds,
            console,
        )
        results = {}
        for name, scenario in list_scenarios().items():
            if name in wanted and scenario.precision == "float32":
                results[name] = compare_throughput(setup, name, scenario)
            elif name in wanted and has_bfloat16_instructions():
                fast = stack.enter_context(start_server(folder, scenario.precision))
                results[name] = compare_throughput(replace(setup, server=fast), name, scenario)
        if "E" in wanted:
            results["E"] = measure_fractions(setup, 2048)
        if "F" in wanted:
            results["F"] = measure_isolation(setup, arguments.huge)
        if "G" in wanted and (whole := compare_whole(setup, arguments.huge)) is not None:
            results["G"] = whole
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
    if arguments.rows:
        write_rows(arguments.rows, list_rows(results))
    console = Console(width=max(Console().width, 140))
    ratios = {name: result for name, result in results.items() if name in {*list_scenarios(), "G"}}
    if ratios:
        console.print(draw_scenarios(ratios))
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
