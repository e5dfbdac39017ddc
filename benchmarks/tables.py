"""Tables of `serving.py`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from rich.table import Table


def mark(*, holds: bool) -> str:
    """Return whether a target is met, as coloured text."""
    return "[green]holds[/]" if holds else "[red]missed[/]"


def draw_scenarios(results: Mapping[str, dict[str, Any]]) -> Table:
    """Draw the table of throughput ratios."""
    table = Table(
        "",
        "workload",
        "server / loop",
        "",
        "range",
        "server p50, p99",
        "computed",
        "loop",
        box=None,
    )
    for name, result in results.items():
        ratios = [one["ratio"] for one in result["rounds"]]
        middle = statistics.median(ratios)
        servers = [one["server"] for one in result["rounds"]]
        p50, p99 = (
            statistics.median(one["latency_s"][key] for one in servers) * 1e3
            for key in ("p50", "p99")
        )
        waste = servers[-1]["computed_per_valid_pixel"]
        settings = result["settings"]
        table.add_row(
            name,
            result["title"],
            f"{middle:.3f} (≥ {result['target']:g})",
            mark(holds=middle >= result["target"]),
            f"{min(ratios):.3f} … {max(ratios):.3f}",
            f"{p50:.1f}, {p99:.1f} ms",
            "" if waste is None else f"{waste:.2f} × valid",
            f"{settings['workers']} × {settings['threads']}, batch {settings['batch']}: "
            f"{statistics.median(one['loop']['images_per_s'] for one in result['rounds']):.1f}/s",
        )
    return table


def draw_fractions(result: Mapping[str, Any]) -> Table:
    """Draw the table of E."""
    table = Table("E", result["title"], "time", "× that of all valid", "", box=None)
    for row in result["rows"]:
        table.add_row(
            "",
            f"{row['valid']:.0%} valid",
            f"{row['median_s'] * 1e3:.1f} ms",
            f"{row['ratio']:.3f} (≤ {row['bound']:.3f})",
            mark(holds=row["valid"] == 1 or row["ratio"] <= row["bound"]),
        )
    return table


def draw_isolation(result: Mapping[str, Any]) -> Table:
    """Draw the table of F."""
    rounds = result["rounds"]
    middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    share = statistics.median(one["beside_p99_s"] / one["bound_s"] for one in rounds)
    table = Table("F", result["title"], "p99 of the small ones", "", box=None)
    table.add_row("", "alone", f"{middle['alone_p99_s'] * 1e3:.1f} ms")
    table.add_row(
        "",
        "beside",
        f"{middle['beside_p99_s'] * 1e3:.1f} ms (≤ {middle['bound_s'] * 1e3:.1f})",
        mark(holds=share <= 1),
    )
    table.add_row(
        "",
        f"one call of {result['window']['side']}²",
        f"{result['window']['median_s'] * 1e3:.1f} ms",
    )
    table.add_row("", "the huge one", f"{middle['huge_s'] * 1e3:.0f} ms")
    if not result["huge_checked"]:
        table.add_row(
            "", "the labels of the huge one were not checked: too little memory to run it whole"
        )
    return table
