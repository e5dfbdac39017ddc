"""Line charts as SVG, coloured by the style sheet of their page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_TICKS = 5


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: in the legend.
        style: CSS class that colours it.
        values: one for each place.
    """

    name: str
    style: str
    values: Sequence[float]


@dataclass(frozen=True)
class Plane:
    """Coordinates of a chart: 0 to `end` across, the first tick to the last upwards.

    Attributes:
        end: of the horizontal axis.
        ticks: of the vertical axis.
        left, top, width, height: of the lines' area in pixels.
    """

    end: float
    ticks: Sequence[float]
    left: float = 48
    top: float = 14
    width: float = 460
    height: float = 212

    def x(self, place: float) -> float:
        """Return the distance from the left in pixels."""
        return self.left + self.width * place / (self.end or 1)

    def y(self, value: float) -> float:
        """Return the distance from the top in pixels."""
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self.top + self.height * (1 - share)

    def draw_axes(self, places: Sequence[float], format_place: Callable[[float], str]) -> list[str]:
        """Draw a line for each vertical tick, and the numbers.

        Args:
            places: to name on the horizontal axis.
            format_place: formats one of them.
        """
        bottom = self.top + self.height
        return [
            *(
                f'<line class="grid" x1="{self.left:g}" x2="{self.left + self.width:g}" '
                f'y1="{self.y(tick):.1f}" y2="{self.y(tick):.1f}"/>'
                f'<text x="{self.left - 8:g}" y="{self.y(tick) + 4:.1f}" '
                f'text-anchor="end">{tick:g}</text>'
                for tick in self.ticks
            ),
            *(
                f'<text x="{self.x(place):.1f}" y="{bottom + 22:g}" '
                f'text-anchor="middle">{escape(format_place(place))}</text>'
                for place in places
            ),
        ]

    def draw_line(self, places: Sequence[float], line: Line) -> list[str]:
        """Draw a line through its finite values, with a dot at each."""
        points = [
            f"{self.x(place):.1f},{self.y(value):.1f}"
            for place, value in zip(places, line.values, strict=True)
            if math.isfinite(value)
        ]
        return [
            f'<polyline class="line {line.style}" points="{" ".join(points)}"/>',
            *(
                '<circle class="dot {}" cx="{}" cy="{}" r="2.5"/>'.format(
                    line.style, *point.split(",")
                )
                for point in points
            ),
        ]


def draw_chart(
    title: str, places: Sequence[float], lines: Sequence[Line], mark: float | None = None
) -> str:
    """Draw lines over the steps of a training.

    Args:
        title: for readers who cannot see the chart.
        places: of the values on the horizontal axis, in order.
        lines: to draw.
        mark: a place to mark.

    Returns:
        An `<svg>` element.
    """
    finite = [value for line in lines for value in line.values if math.isfinite(value)]
    end = max(places, default=1.0)
    plane = Plane(end, choose_ticks(min(finite, default=0.0), max(finite, default=1.0)))
    named = [place for place in choose_ticks(0, end) if place <= end]
    parts = [
        f'<svg viewBox="0 0 520 260" role="img" aria-label="{escape(title)}">',
        *plane.draw_axes(named, lambda place: f"{place:g}"),
    ]
    if mark is not None:
        parts.append(
            f'<line class="mark" x1="{plane.x(mark):.1f}" x2="{plane.x(mark):.1f}" '
            f'y1="{plane.top:g}" y2="{plane.top + plane.height:g}"/>'
        )
    for line in lines:
        parts += plane.draw_line(places, line)
    return "".join([*parts, "</svg>"])


def choose_ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers from below the lowest to above the highest."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * _TICKS >= span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]
