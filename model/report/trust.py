"""Grounds to trust the scores of a report: calibration, groups, a simple baseline."""

from __future__ import annotations

import math
from html import escape

from model.report.charts import Line, draw_chart
from model.scoring.calibration import BINS, Calibration
from model.scoring.folders import FolderScores

NOT_TEMPERED = "probabilities of converted networks have no temperature"
"""Their last layer may be none that a temperature could be folded into."""


def format_score(value: float) -> str:
    """Return a score with three digits; a dash where there is none."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def render_trust(found: FolderScores, *, is_baseline: bool = False) -> str:
    """Return the interval, the baseline, the groups and the calibration as HTML.

    Args:
        found: the scores.
        is_baseline: whether they are those of a baseline network, which needs no temperature.
    """
    first = found.scores[0]
    low, high = found.intervals.mean_iou
    rows = [
        ("mean IoU", format_score(first.mean_iou)),
        ("of other such images, with a confidence of 95 %", f"{low:.3f} to {high:.3f}"),
    ]
    if found.baseline is not None:
        rows.append(("by single pixels alone", format_score(found.baseline.mean_iou)))
    rows += [
        (f"group {name}", format_score(score.mean_iou)) for name, score in found.groups.items()
    ]
    if first.calibration is not None:
        rows.append(("expected calibration error", f"{first.calibration.error:.3f}"))
    rows += [] if is_baseline else _list_temperature(found)
    table = "".join(
        f'<tr><th>{escape(name)}</th><td class="value">{escape(value)}</td></tr>'
        for name, value in rows
    )
    chart = "" if first.calibration is None else _draw_calibration(first.calibration)
    return f"<div><table>{table}</table></div><div>{chart}</div>"


def _list_temperature(found: FolderScores) -> list[tuple[str, str]]:
    untempered = found.scores[0].untempered
    if found.temperature is None or untempered is None:
        return [("temperature", NOT_TEMPERED)]
    return [
        ("the same without the temperature", f"{untempered.error:.3f}"),
        ("temperature, fitted to the validation images", f"{found.temperature:.3f}"),
    ]


def _draw_calibration(calibration: Calibration) -> str:
    places = [(index + 0.5) / BINS for index in range(BINS)]
    right = [
        float(hits / pixels) if pixels else math.nan
        for hits, pixels in zip(calibration.right, calibration.pixels, strict=True)
    ]
    lines = [Line("pixels that are right", "first", right), Line("ideal", "second", places)]
    legend = "".join(f'<span><i class="{line.style}"></i>{line.name}</span>' for line in lines)
    chart = draw_chart("Part of the pixels that are right, by confidence", places, lines)
    return f'<p class="legend"><b>Right by confidence</b>{legend}</p>{chart}'
