"""F: small images at a steady rate, alone and beside a huge one. Their latency."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.comparison import (
    TIMEOUT_S,
    WHOLE_BYTES_PER_PIXEL,
    Setup,
    drive,
    prepare,
    read_free_bytes,
    summarize,
)
from benchmarks.loop_tuning import WARMUP_S
from benchmarks.processes import start_raw_loop
from service.bench.load import run_in_loop, run_load
from service.bench.load_profile import LoadProfile
from service.bench.prepared_request import prepare_request
from service.bench.report import Report, make_report
from service.bench.workload import Workload, draw_samples, parse_sizes

WINDOW_SIDE = 624
"""Side of the window that keeps 512²: small images may wait for one call of it."""

SMALL_PER_S = 40.0


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
