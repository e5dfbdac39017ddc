"""Picture of the benchmarks: a bar for each row, and a mark at its target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.rows import Row

_WIDTH, _TITLES, _LEFT, _RIGHT, _STEP, _TOP = 900, 120, 520, 120, 24, 54

_STYLE = """
svg { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  --page: #ffffff; --text: #1b2330; --soft: #5c6675; --bar: #1d5fd1; --missed: #c2410c; }
.page { fill: var(--page); } text { fill: var(--soft); }
.title, .value { fill: var(--text); } .title { font-size: 13px; font-weight: 600; }
.bar { fill: var(--bar); } .missed { fill: var(--missed); } .target { stroke: var(--text); }
@media (prefers-color-scheme: dark) {
svg { --page: #12161d; --text: #e6e9ef; --soft: #98a3b3; --bar: #7db0ff; --missed: #fb923c; }
}
"""


def draw_picture(run: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Draw rows as an SVG file.

    Args:
        run: version, date and machine.
        rows: figures. A bar is as long as its value is in relation to its target.
    """
    height = _TOP + _STEP * len(rows) + 34
    size = f'width="{_WIDTH}" height="{height}"'
    caption = (
        f"lacuna {run['version']}, {run['date']}, {run['cores']} cores. Marks are targets: "
        "for times and memory not to exceed, for ratios to reach."
    )
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {size} ',
            f'role="img" aria-label="{escape(caption)}">',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" {size}/>',
            f'<text class="title" x="16" y="28">{len(rows)} figures and their targets</text>',
            *(_draw_row(_TOP + _STEP * index, row) for index, row in enumerate(rows)),
            f'<text x="16" y="{height - 12}">{escape(caption)}</text>',
            "</svg>\n",
        ]
    )


def _draw_row(top: float, row: Row) -> str:
    unit = (_WIDTH - _LEFT - _RIGHT) / 2
    length = min(row.value / row.target, 2.0) * unit if row.target else 0.0
    style = "bar" if row.holds else "bar missed"
    value = f"{row.value:.3g} {row.unit} ({'≤' if row.is_limit else '≥'} {row.target:.3g})"
    return (
        f'<text class="value" x="16" y="{top + 13:g}">{escape(row.key)}</text>'
        f'<text x="{_TITLES}" y="{top + 13:g}">{escape(row.title)}</text>'
        f'<rect class="{style}" x="{_LEFT}" y="{top:g}" width="{length:.1f}" height="16"/>'
        f'<path class="target" d="M{_LEFT + unit:g} {top - 3:g}v22"/>'
        f'<text class="value" x="{_LEFT + max(length, unit) + 8:.1f}" y="{top + 13:g}">'
        f"{escape(value)}</text>"
    )
