"""Comparison as one SVG file: a panel for each pattern of missing pixels, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

from model.comparison.groups import ALL_PATTERNS, RunGroup
from model.data.nodata import PATTERNS_TO_COMPARE
from model.report.charts import Line, Plane, choose_ticks

_COLUMNS, _WIDTH, _HEIGHT = 3, 320, 250
_CAPTION = (
    "mean IoU against missing pixels, each panel on its own scale; "
    "bands: half the distance from the worst seed to the best"
)
_LEGEND_HEIGHT, _LEGEND_COLUMNS = 22, 4

_COLORS = (
    ("#1d5fd1", "#7db0ff"),
    ("#0f8b8d", "#4fd1c5"),
    ("#6b7280", "#a3adbb"),
    ("#c2410c", "#fb923c"),
    ("#a21caf", "#e58af2"),
    ("#4d7c0f", "#a3d94a"),
    ("#92600a", "#e3c04b"),
    ("#be123c", "#fb8aa0"),
)
"""Colours of the lines, on a white and on a black page, used in turn."""

_STYLE = """
svg { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  --page: #ffffff; --text: #1b2330; --soft: #5c6675; --line: #dfe3e9; }
.page { fill: var(--page); } text { fill: var(--soft); }
.title { fill: var(--text); font-size: 13px; font-weight: 600; }
.name { fill: var(--text); font-size: 12px; }
.grid { stroke: var(--line); }
.line { fill: none; stroke-width: 1.75; stroke-linejoin: round; } .c0.line { stroke-width: 3; }
.band { fill-opacity: 0.14; }
"""


def draw_panels(groups: Sequence[RunGroup]) -> str:
    """Draw the mean IoU of all groups against the fraction of missing pixels.

    Each panel has its own scale. Lines are means over the seeds; bands reach `RunGroup.spread` to
    both sides.

    Args:
        groups: from `group_runs`; the first one's line is the thickest.

    Returns:
        An SVG file.
    """
    panels = [ALL_PATTERNS, *PATTERNS_TO_COMPARE]
    legend = _LEGEND_HEIGHT * -(-len(groups) // _LEGEND_COLUMNS)
    width, height = _COLUMNS * _WIDTH, legend + _HEIGHT * -(-len(panels) // _COLUMNS) + 40
    size = f'width="{width}" height="{height}"'
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} role="img"'
    planes = [
        _place_panel(index, legend + 20, max(groups[0].fractions), _choose_ticks(groups, pattern))
        for index, pattern in enumerate(panels)
    ]
    return "".join(
        [
            f'<svg {frame} aria-label="{_CAPTION}">',
            f"<style>{_STYLE}{_color_lines()}</style>",
            f'<rect class="page" {size}/>',
            *_draw_legend(groups),
            *map(partial(_draw_panel, groups), panels, planes),
            f'<text x="{width / 2:g}" y="{height - 12}" text-anchor="middle">{_CAPTION}</text>',
            "</svg>\n",
        ]
    )


def _color_lines() -> str:
    """Return the colours of the style sheet, for light and for dark pages."""

    def rules(dark: int) -> str:
        return "".join(
            f".c{index}.line {{ stroke: {pair[dark]}; }} "
            f".c{index}.dot, .c{index}.band {{ fill: {pair[dark]}; }}\n"
            for index, pair in enumerate(_COLORS)
        )

    page = "svg { --page: #12161d; --text: #e6e9ef; --soft: #98a3b3; --line: #2d3644; }\n"
    return f"{rules(0)}@media (prefers-color-scheme: dark) {{\n{page}{rules(1)}}}\n"


def _style(index: int) -> str:
    return f"c{index % len(_COLORS)}"


def _draw_legend(groups: Sequence[RunGroup]) -> list[str]:
    parts = []
    for index, entry in enumerate(groups):
        row, column = divmod(index, _LEGEND_COLUMNS)
        x = 48 + column * (_COLUMNS * _WIDTH - 48) / _LEGEND_COLUMNS
        y = 20 + row * _LEGEND_HEIGHT
        parts.append(
            f'<path class="line {_style(index)}" d="M{x:g} {y - 4}h22"/>'
            f'<text class="name" x="{x + 30:g}" y="{y}">{escape(entry.name)}</text>'
        )
    return parts


def _choose_ticks(groups: Sequence[RunGroup], pattern: str) -> list[float]:
    lowest = min((entry.mean(pattern) - entry.spread(pattern)).min() for entry in groups)
    highest = max((entry.mean(pattern) + entry.spread(pattern)).max() for entry in groups)
    return choose_ticks(float(lowest), float(highest))


def _place_panel(index: int, top: float, end: float, ticks: Sequence[float]) -> Plane:
    row, column = divmod(index, _COLUMNS)
    return Plane(
        end,
        ticks,
        left=column * _WIDTH + 48,
        top=top + row * _HEIGHT + 26,
        width=_WIDTH - 68,
        height=_HEIGHT - 74,
    )


def _draw_panel(groups: Sequence[RunGroup], pattern: str, plane: Plane) -> str:
    title = "mean of all patterns" if pattern == ALL_PATTERNS else pattern.replace("_", " ")
    named = [place for place in choose_ticks(0, plane.end) if place <= plane.end]
    parts = [
        f'<g><text class="title" x="{plane.left:g}" y="{plane.top - 12:g}">{escape(title)}</text>',
        *plane.draw_axes(named, lambda place: f"{place:.0%}"),
        *(_draw_band(pattern, entry, _style(n), plane) for n, entry in enumerate(groups)),
    ]
    for index, entry in reversed(list(enumerate(groups))):
        line = Line(entry.name, _style(index), entry.mean(pattern).tolist())
        parts += plane.draw_line(entry.fractions, line)
    return "".join([*parts, "</g>"])


def _draw_band(pattern: str, entry: RunGroup, style: str, plane: Plane) -> str:
    mean, spread, places = entry.mean(pattern), entry.spread(pattern), entry.fractions
    edges = (*places, *places[::-1]), (*(mean + spread), *(mean - spread)[::-1])
    points = " ".join(
        f"{plane.x(place):.1f},{plane.y(value):.1f}" for place, value in zip(*edges, strict=True)
    )
    return f'<polygon class="band {style}" points="{points}"/>'
