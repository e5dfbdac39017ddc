"""E: one large image at a time, a fraction of it valid. Its time as a ratio to a full one's."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.comparison import BEYOND, TIMEOUT_S, Setup, drive, prepare, summarize
from service.bench.load_profile import LoadProfile
from service.bench.workload import Workload, parse_sizes

FRACTIONS = (1.0, 0.5, 0.25, 0.1, 0.0)


def measure_fractions(setup: Setup, side: int) -> dict[str, Any]:
    """Measure the time of one image by its fraction of valid pixels."""
    setup.log(f"E: {side}×{side}: the loop labels each image alone")
    sizes = (parse_sizes(str(side)),)
    asked = {
        valid: prepare(setup, "E", setup.adapt(Workload(4, sizes, (valid,), BEYOND, seed=index)))
        for index, valid in enumerate(FRACTIONS)
    }
    reports = []
    times: dict[float, list[float]] = {valid: [] for valid in FRACTIONS}
    for number in range(setup.rounds + 1):
        for valid in FRACTIONS if number % 2 else FRACTIONS[::-1]:
            profile = LoadProfile(
                1, requests=len(asked[valid]) if valid > 0.3 else 8, timeout_s=TIMEOUT_S
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
                "bound": 1.15 * valid + 0.04,
            }
            for valid in FRACTIONS
        ],
        **summarize(reports),
    }
