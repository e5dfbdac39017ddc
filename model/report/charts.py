"""Line charts as SVG, coloured by the page they stand in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 520, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 14, 34
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: in the legend.
        style: CSS class that colours it.
        values: heights, one for each place.
    """

    name: str
    style: str
    values: Sequence[float]


def draw_chart(
    title: str, places: Sequence[float], lines: Sequence[Line], mark: float | None = None
) -> str:
    """Draw lines over the steps of a training.

    Args:
        title: for those who cannot see it.
        places: where on the horizontal axis the values stand, in order.
        lines: what is drawn.
        mark: a place to mark.

    Returns:
        An `<svg>` element.
    """
    finite = [value for line in lines for value in line.values if math.isfinite(value)]
    ticks = choose_ticks(min(finite, default=0.0), max(finite, default=1.0))
    end = max(places, default=1.0)

    def x(place: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * place / (end or 1)

    def y(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        *(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}"/><text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" '
            f'text-anchor="end">{tick:g}</text>'
            for tick in ticks
        ),
        *(
            f'<text x="{x(place):.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{place:g}</text>'
            for place in choose_ticks(0, end)
            if place <= end
        ),
    ]
    if mark is not None:
        parts.append(
            f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{_TOP}" '
            f'y2="{_HEIGHT - _BOTTOM}"/>'
        )
    for line in lines:
        points = [
            f"{x(place):.1f},{y(value):.1f}"
            for place, value in zip(places, line.values, strict=True)
            if math.isfinite(value)
        ]
        parts.append(f'<polyline class="line {line.style}" points="{" ".join(points)}"/>')
        parts += [
            '<circle class="dot {}" cx="{}" cy="{}" r="2.5"/>'.format(line.style, *point.split(","))
            for point in points
        ]
    return "".join([*parts, "</svg>"])


def choose_ticks(low: float, high: float) -> list[float]:
    """Choose about five round numbers that reach from below the lowest to above the highest."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * _TICKS >= span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]
