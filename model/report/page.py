"""Report of a training: scores, curves, confusion, examples, data and configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.data.classes import ClassDescription
from model.data.dataset import Dataset
from model.data.labelled import LabelledSample
from model.labels import IGNORE_LABEL
from model.report.charts import Line, draw_chart
from model.report.pictures import show_image, show_labels, show_mask
from model.report.trust import format_score, render_trust
from model.scoring.folders import FolderScores
from model.scoring.scores import Score
from model.training.runs import is_baseline

_ERROR_COLORS = ((214, 222, 232), (200, 30, 60))
"""Of right and wrong pixels."""

_PAGE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Example:
    """An image with the network's prediction.

    Attributes:
        name: of the image.
        remark: the pixels taken out, and the fraction of correct pixels.
        sample: image, mask and true labels.
        predicted: uint8 (H, W); `IGNORE_LABEL` where invalid.
    """

    name: str
    remark: str
    sample: LabelledSample
    predicted: NDArray[np.uint8]


@dataclass(frozen=True)
class RunReport:
    """Contents of the report.

    Attributes:
        dataset: of the training.
        record: `training.json`.
        found: scores on the validation or test images.
        examples: to show.
        commands: next ones for the user.
    """

    dataset: Dataset
    record: Mapping[str, Any]
    found: FolderScores
    examples: Sequence[Example]
    commands: Sequence[str]


def render_report(report: RunReport) -> str:
    """Return the report as one HTML page, pictures included."""
    description = report.dataset.description
    history = report.record["history"]
    best = max(history, key=lambda entry: entry["val_mean_iou"])
    versions = (f"{name} {value}" for name, value in report.record["versions"].items())
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(description.name),
        description=escape(description.description),
        numbers=_render_numbers(report, best),
        scores=_render_scores(report.found.scores, description.classes),
        quality=_render_quality(report.found, description.classes),
        trust=render_trust(report.found, is_baseline=is_baseline(report.record)),
        charts=_render_charts(history, best),
        confusion=_render_confusion(report.found.scores[0].confusion, description.classes),
        scored="test" if report.dataset.test else "validation",
        classes="".join(_name_class(entry) for entry in description.classes),
        examples="".join(_render_example(entry, description.classes) for entry in report.examples),
        notes="".join(f"<p>Note: {escape(note)}.</p>" for note in report.dataset.notes),
        dataset=_render_facts(_describe_images(report.dataset)),
        balance=_render_balance(report.dataset),
        configuration=_render_configuration(report.record["config"]),
        commands=escape("\n".join(report.commands)),
        footer=escape(", ".join(versions)),
    )


def _render_numbers(report: RunReport, best: Mapping[str, float]) -> str:
    last = report.record["history"][-1]["step"]
    numbers = [
        *(
            (f"{score.mean_iou:.3f}", f"mean IoU, {_describe_missing(score.missing)}")
            for score in report.found.scores
        ),
        (f"{best['step']:,}", f"best step, of {last:,}"),
        (f"{len(report.dataset.training)}", "training images"),
        (f"{len(report.dataset.validation)}", "validation images"),
        *((f"{len(part)}", "test images") for part in [report.dataset.test] if part),
    ]
    return "".join(
        f'<div class="number"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name in numbers
    )


def _describe_missing(fraction: float) -> str:
    return f"{fraction:.0%} taken out" if fraction else "as they are"


def _render_scores(scores: Sequence[Score], classes: Sequence[ClassDescription]) -> str:
    columns = "".join(
        f'<th class="value">{_describe_missing(score.missing)}</th>' for score in scores
    )
    rows = [f"<tr><th>class</th><th></th>{columns}</tr>"]
    for index, entry in enumerate(classes):
        values = [score.class_iou[index] for score in scores]
        rows.append(_render_score(_name_class(entry), values))
    means = [score.mean_iou for score in scores]
    rows.append(_render_score("mean", means, style=' class="total"'))
    return f"<table>{''.join(rows)}</table>"


def _render_quality(found: FolderScores, classes: Sequence[ClassDescription]) -> str:
    """Render interval, precision and recall of each class, on the images as they are."""
    first = found.scores[0]
    columns = ("IoU", "95 % interval", "precision", "recall")
    head = "".join(f'<th class="value">{name}</th>' for name in columns)
    rows = [f"<tr><th>class</th>{head}</tr>"]
    numbers = zip(
        first.class_iou,
        found.intervals.class_iou,
        first.class_precision,
        first.class_recall,
        strict=True,
    )
    for entry, (iou, (low, high), precision, recall) in zip(classes, numbers, strict=True):
        interval = f"{format_score(low)} to {format_score(high)}"
        cells = (format_score(iou), interval, format_score(precision), format_score(recall))
        shown = "".join(f'<td class="value">{cell}</td>' for cell in cells)
        rows.append(f"<tr><td>{_name_class(entry)}</td>{shown}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _render_score(name: str, values: Sequence[float], style: str = "") -> str:
    cells = "".join(f'<td class="value">{format_score(value)}</td>' for value in values)
    return f"<tr{style}><td>{name}</td><td>{_render_bar(values[0])}</td>{cells}</tr>"


def _render_bar(share: float, color: str | None = None) -> str:
    width = 100 * share if math.isfinite(share) else 0
    background = f";background:{escape(color)}" if color else ""
    return f'<span class="bar"><i style="width:{width:.1f}%{background}"></i></span>'


def _name_class(entry: ClassDescription) -> str:
    swatch = f'<span class="swatch" style="background:{escape(entry.color)}"></span>'
    return f'<span class="name">{swatch}{escape(entry.name)}</span>'


def _render_charts(history: Sequence[Mapping[str, float]], best: Mapping[str, float]) -> str:
    steps = [entry["step"] for entry in history]
    charts = []
    for title, name in (("Loss", "loss"), ("Mean IoU", "mean_iou")):
        lines = [
            Line("training crops", "first", [entry[name] for entry in history]),
            Line("validation images", "second", [entry[f"val_{name}"] for entry in history]),
        ]
        legend = "".join(f'<span><i class="{li.style}"></i>{li.name}</span>' for li in lines)
        chart = draw_chart(f"{title} by step", steps, lines, best["step"])
        charts.append(f'<div><p class="legend"><b>{title}</b>{legend}</p>{chart}</div>')
    return "".join(charts)


def _render_confusion(confusion: NDArray[np.int64], classes: Sequence[ClassDescription]) -> str:
    head = "".join(f'<th class="value">{_name_class(entry)}</th>' for entry in classes)
    rows = [f"<tr><th></th>{head}</tr>"]
    for entry, counts in zip(classes, confusion, strict=True):
        total = max(int(counts.sum()), 1)
        cells = "".join(
            f'<td class="cell" style="background:rgba(var(--heat),{0.75 * count / total:.3f})" '
            f'title="{count:,} pixels">{count / total:.1%}</td>'
            for count in counts.tolist()
        )
        rows.append(f"<tr><th>{_name_class(entry)}</th>{cells}</tr>")
    return f'<table class="confusion">{"".join(rows)}</table>'


def _render_example(example: Example, classes: Sequence[ClassDescription]) -> str:
    sample, colors = example.sample, [entry.rgb for entry in classes]
    pictures = (
        ("image", show_image(sample.image, sample.mask)),
        ("mask of valid pixels", show_mask(sample.mask)),
        ("truth", show_labels(sample.labels, colors)),
        ("prediction", show_labels(example.predicted, colors)),
        ("errors", show_labels(_find_errors(example), _ERROR_COLORS)),
    )
    figures = "".join(
        f'<figure><img src="{uri}" alt="{escape(example.name)}: {name}">'
        f"<figcaption>{name}</figcaption></figure>"
        for name, uri in pictures
    )
    return (
        f'<div class="example"><p>{escape(example.name)} '
        f'<span class="soft">{escape(example.remark)}</span></p>'
        f'<div class="pictures">{figures}</div></div>'
    )


def _find_errors(example: Example) -> NDArray[np.uint8]:
    """Return 0 where the prediction is right, 1 where it is wrong, `IGNORE_LABEL` elsewhere."""
    truth = example.sample.labels
    wrong = (example.predicted != truth).astype(np.uint8)
    return np.where(truth == IGNORE_LABEL, np.uint8(IGNORE_LABEL), wrong)


def _describe_images(dataset: Dataset) -> list[tuple[str, Any]]:
    description = dataset.description
    sizes = sorted(dataset.sizes.values(), key=lambda size: size[0] * size[1])
    return [
        ("folder", dataset.folder),
        ("smallest, largest", f"{_times(sizes[0])}, {_times(sizes[-1])} pixels"),
        ("channels", description.channels),
        ("dtype", description.dtype),
        ("no-data value", "as the files say" if description.nodata is None else description.nodata),
        ("valid pixels", f"{dataset.valid_fraction:.1%}"),
        ("mean of each channel", _list(dataset.normalization.means)),
        ("scale of each channel", _list(dataset.normalization.scales)),
    ]


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _times(size: Sequence[int]) -> str:
    return "×".join(str(side) for side in size)


def _render_balance(dataset: Dataset) -> str:
    totals = {name: max(sum(counts), 1) for name, counts in dataset.class_pixels.items()}
    head = "".join(f'<th class="value">{name}</th>' for name in totals)
    rows = [f"<tr><th>class</th><th></th>{head}</tr>"]
    for index, entry in enumerate(dataset.description.classes):
        shares = [dataset.class_pixels[name][index] / totals[name] for name in totals]
        cells = "".join(f'<td class="value">{share:.1%}</td>' for share in shares)
        bar = _render_bar(shares[0], entry.color)
        rows.append(f"<tr><td>{_name_class(entry)}</td><td>{bar}</td>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _render_facts(facts: Iterable[tuple[str, Any]]) -> str:
    rows = (
        f'<tr><th>{escape(name)}</th><td class="wide">{escape(str(value))}</td></tr>'
        for name, value in facts
    )
    return f"<table>{''.join(rows)}</table>"


def _render_configuration(config: Mapping[str, Any]) -> str:
    facts = list(_flatten(config))
    half = -(-len(facts) // 2)
    return "".join(f"<div>{_render_facts(part)}</div>" for part in (facts[:half], facts[half:]))


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        elif name not in ("name", "description"):
            yield f"{prefix}{name}", f"{value:.6g}" if isinstance(value, float) else value
