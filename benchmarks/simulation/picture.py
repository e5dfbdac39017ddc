"""Picture of docs/scaling.md: four panels of the experiments, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from benchmarks.simulation.experiments import PODS, TARGETS_S
from model.report.charts import Line, Plane, choose_ticks

_WIDTH, _HEIGHT, _COLUMNS = 480, 290, 2
_CAPTION = (
    "simulated pods under a burst of five times the load, and at 70 % of what they can answer"
)
_COLORS = (
    ("#1d5fd1", "#7db0ff"),
    ("#c2410c", "#fb923c"),
    ("#0f8b8d", "#4fd1c5"),
    ("#6b7280", "#a3adbb"),
)
"""Colours of the lines, on a white and on a black page."""

_STYLE = """
svg { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  --page: #ffffff; --text: #1b2330; --soft: #5c6675; --line: #dfe3e9; }
.page { fill: var(--page); } text { fill: var(--soft); }
.title { fill: var(--text); font-size: 13px; font-weight: 600; }
.grid { stroke: var(--line); }
.line { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
"""
_DARK = "svg { --page: #12161d; --text: #e6e9ef; --soft: #98a3b3; --line: #2d3644; }\n"


class Panel(NamedTuple):
    """Panel of the picture.

    Attributes:
        title: Title, with the unit.
        places: Places of each line's values on the horizontal axis.
        names: Name of each named place.
        lines: Values of each line.
    """

    title: str
    places: Mapping[str, Sequence[float]]
    names: Mapping[float, str]
    lines: Mapping[str, Sequence[float]]


def draw_picture(results: Mapping[str, Any]) -> str:
    """Draw the results of `run_all` as an SVG file."""
    panels = list_panels(results)
    width, height = _COLUMNS * _WIDTH, _HEIGHT * -(-len(panels) // _COLUMNS) + 30
    size = f'width="{width}" height="{height}"'
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} role="img"'
    return "".join(
        [
            f'<svg {frame} aria-label="{_CAPTION}">',
            f"<style>{_STYLE}{_color_lines(0)}",
            f"@media (prefers-color-scheme: dark) {{\n{_DARK}{_color_lines(1)}}}\n</style>",
            f'<rect class="page" {size}/>',
            *(part for index, panel in enumerate(panels) for part in _draw_panel(index, panel)),
            f'<text x="{width / 2:g}" y="{height - 10}" text-anchor="middle">{_CAPTION}</text>',
            "</svg>\n",
        ]
    )


def list_panels(results: Mapping[str, Any]) -> list[Panel]:
    """List the panels: pods over time, refusals and cost by target, and latency by balancer."""
    # The best is the last, and is drawn in the first colour.
    pods, targets, steady = (
        dict(reversed(results[part].items())) for part in ("pods", "targets", "steady")
    )
    steps = {name: _make_steps(samples) for name, samples in pods.items()}
    target_names = {float(place): f"{target:g} s" for place, target in enumerate(TARGETS_S)}
    pod_names = {float(place): str(count) for place, count in enumerate(PODS)}

    def place(results: Mapping[str, Any], key: str, unit: float = 1.0) -> dict[str, list[float]]:
        return {name: [unit * one[key] for one in row] for name, row in results.items()}

    def spread(names: Mapping[float, str], lines: Mapping[str, Any]) -> dict[str, list[float]]:
        return {name: list(names) for name in lines}

    behaviors = {f"{name} policies": row for name, row in targets.items()}
    refused, cost = place(behaviors, "refused", 100), place(behaviors, "pod_hours")
    latency = place(steady, "p99_s")
    return [
        Panel(
            "pods in a burst from 400 s to 580 s",
            {name: [x for x, _ in step] for name, step in steps.items()},
            {float(second): f"{second} s" for second in range(0, 1501, 300)},
            {name: [y for _, y in step] for name, step in steps.items()},
        ),
        Panel(
            "p99 at a steady 70 %, in s, by pods", spread(pod_names, latency), pod_names, latency
        ),
        Panel("refused in %, by target", spread(target_names, refused), target_names, refused),
        Panel("pod-hours, by target", spread(target_names, cost), target_names, cost),
    ]


def _make_steps(samples: Sequence[tuple[float, int]]) -> list[tuple[float, float]]:
    """Return the corners of a line that keeps each number until the next."""
    corners = [(samples[0][0], float(samples[0][1]))]
    for time_s, pods in samples[1:]:
        if pods != corners[-1][1]:
            corners += [(time_s, corners[-1][1]), (time_s, float(pods))]
    return [*corners, (samples[-1][0], float(samples[-1][1]))]


def _draw_panel(index: int, panel: Panel) -> list[str]:
    row, column = divmod(index, _COLUMNS)
    left, top = column * _WIDTH + 48.0, row * _HEIGHT + 62.0
    highest = max(max(values) for values in panel.lines.values())
    plane = Plane(max(panel.names), choose_ticks(0, highest), left, top, _WIDTH - 78, _HEIGHT - 110)
    parts = [
        f'<text class="title" x="{left:g}" y="{top - 38:g}">{escape(panel.title)}</text>',
        *plane.draw_axes(list(panel.names), lambda place: panel.names[place]),
    ]
    x = left
    for number, (name, values) in enumerate(panel.lines.items()):
        parts += [
            f'<path class="line c{number}" d="M{x:g} {top - 20:g}h18"/>',
            f'<text x="{x + 24:g}" y="{top - 16:g}">{escape(name)}</text>',
            *plane.draw_line(panel.places[name], Line(name, f"c{number}", values)),
        ]
        x += 44 + 6.4 * len(name)
    return parts


def _color_lines(dark: int) -> str:
    return "".join(
        f".c{index}.line {{ stroke: {pair[dark]}; }} .c{index}.dot {{ fill: {pair[dark]}; }}\n"
        for index, pair in enumerate(_COLORS)
    )
