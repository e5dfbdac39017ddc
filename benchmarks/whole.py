"""G: one huge image, alone. The server's throughput as a ratio to a loop over the whole image."""

from __future__ import annotations

from dataclasses import replace
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
from benchmarks.processes import start_raw_loop
from service.bench.load_profile import LoadProfile
from service.bench.workload import Workload, parse_sizes

TARGET = 0.92
_SPARE = 1.3


def compare_whole(setup: Setup, side: int) -> dict[str, Any] | None:
    """Compare the server, which cuts an image into windows, with one call on all cores.

    Args:
        setup: processes to measure.
        side: side of the image in pixels.

    Returns:
        The ratio of each round; None if there is too little memory for the call.
    """
    if read_free_bytes() < _SPARE * WHOLE_BYTES_PER_PIXEL * side**2:
        setup.log(f"G: too little memory to run an image of {side}×{side} whole: left out")
        return None
    workload = setup.adapt(Workload(1, (parse_sizes(str(side)),)))
    setup.log(f"G: {side}×{side}: the loop labels the image whole")
    profile = LoadProfile(1, requests=2, timeout_s=TIMEOUT_S)
    threads = max(setup.loops)
    with start_raw_loop(setup.folder, threads) as loop:
        alone = replace(setup, loops={threads: loop})
        requests = prepare(alone, "G", workload)
        loop.draw("G", workload)
        reports = [drive(setup, requests, profile)]
        rounds = []
        for number in range(setup.rounds):
            plain = loop.measure("G", 1, 1, setup.seconds, warmup_s=0)
            reports.append(drive(setup, requests, profile))
            ratio = reports[-1].megapixels_per_s / plain["megapixels_per_s"]
            rounds.append({"ratio": ratio, "loop": plain, "server": reports[-1].to_json()})
            setup.log(f"G: round {number + 1}: {ratio:.3f}")
    return {
        "title": f"{side}×{side} alone",
        "target": TARGET,
        "settings": {"threads": threads, "workers": 1, "batch": 1},
        "rounds": rounds,
        **summarize(reports),
    }
