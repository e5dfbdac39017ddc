"""Output of the commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from model.comparison.folds import FoldGroup, OverSeeds
    from model.comparison.groups import RunGroup
    from model.data.dataset import Dataset
    from model.scoring.flips import Flips
    from model.scoring.folders import FolderScores

_TABLE_WIDTH = 120


def print_dataset(dataset: Dataset) -> None:
    """Print a summary of a folder of images."""
    description = dataset.description
    click.echo(
        f"{dataset.folder}: {len(dataset.training)} training images, "
        f"{len(dataset.validation)} validation images"
        + f", {len(dataset.test)} test images"
        * bool(dataset.test)
        + f"; {description.channels} channels of {description.dtype}, "
        f"{dataset.valid_fraction:.1%} valid"
    )
    table = Table("class", *dataset.class_pixels, box=None)
    totals = [max(sum(counts), 1) for counts in dataset.class_pixels.values()]
    for index, entry in enumerate(description.classes):
        counts = [pixels[index] for pixels in dataset.class_pixels.values()]
        shares = [f"{count / total:.1%}" for count, total in zip(counts, totals, strict=True)]
        table.add_row(entry.name, *shares)
    Console().print(table)
    print_notes(dataset)


def print_notes(dataset: Dataset) -> None:
    """Print the remarks on a folder of images that are not faults."""
    for note in dataset.notes:
        click.echo(f"note: {note}", err=True)


def print_scores(scores: Sequence[Any], names: Sequence[str]) -> None:
    """Print the score of each class at each fraction of missing pixels."""
    table = Table("missing", *names, "mean IoU", box=None)
    for entry in scores:
        values = [f"{value:.3f}" for value in (*entry.class_iou, entry.mean_iou)]
        table.add_row(f"{entry.missing:.0%}", *values)
    Console().print(table)


def print_folder_scores(found: FolderScores, names: Sequence[str]) -> None:
    """Print the scores on a folder of images, their confidence, and what single pixels tell."""
    print_scores(found.scores, names)
    low, high = found.intervals.mean_iou
    click.echo(f"mean IoU of other such images, with a confidence of 95 %: {low:.3f} to {high:.3f}")
    calibration = found.scores[0].calibration
    if calibration is not None:
        click.echo(f"expected calibration error: {calibration.error:.3f}")
    if found.temperature is not None and (untempered := found.scores[0].untempered) is not None:
        click.echo(
            f"temperature, fitted to the validation images: {found.temperature:.3f}; without it "
            f"the expected calibration error is {untempered.error:.3f}"
        )
    if found.baseline is not None:
        click.echo(f"mean IoU by single pixels alone: {found.baseline.mean_iou:.3f}")
    for name, score in found.groups.items():
        click.echo(f"mean IoU of group {name}: {score.mean_iou:.3f}")


def print_flips(flips: Flips) -> None:
    """Print the number of labels that change with the canvas."""
    click.echo(f"labels that change when only the canvas does: {flips}")


def print_folds(groups: Sequence[FoldGroup]) -> None:
    """Print the IoU of all groups for each fold and fraction of missing pixels."""
    from model.comparison.groups import SPREAD  # noqa: PLC0415

    console = Console(width=_TABLE_WIDTH)
    for fraction in groups[0].fractions:
        click.echo(f"\nIoU, {fraction.rpartition('_')[2]} % missing")
        table = Table("network", "fold", "mean", *groups[0].classes, box=None)
        for entry in groups:
            for fold in (*entry.folds, None):
                table.add_row(
                    entry.name,
                    fold or "mean of all",
                    _format(entry.mean_iou(fold, fraction), with_spread=len(entry.runs) > 1),
                    *(_format(entry.class_iou(fold, fraction, name)) for name in entry.classes),
                )
        console.print(table)
    click.echo(f"± {SPREAD}")
    for entry in groups:
        seeds = ", ".join(str(run.config["seed"]) for run in entry.runs)
        click.echo(f"{entry.name}: seeds {seeds}")


def _format(found: OverSeeds, *, with_spread: bool = False) -> str:
    if found.mean is None:
        return "–"
    return f"{found.mean:.3f}" + (f" ± {found.spread:.3f}" if with_spread else "")


def print_comparison(groups: Sequence[RunGroup]) -> None:
    """Print the mean IoU of all groups for each pattern, and the changed labels."""
    from model.comparison.groups import ALL_PATTERNS, SPREAD  # noqa: PLC0415
    from model.data.nodata import PATTERNS_TO_COMPARE  # noqa: PLC0415

    console = Console(width=_TABLE_WIDTH)
    for pattern in (ALL_PATTERNS, *PATTERNS_TO_COMPARE):
        click.echo(f"\nmean IoU, {'mean of all patterns' if pattern == ALL_PATTERNS else pattern}")
        table = Table("missing", *(f"{fraction:.0%}" for fraction in groups[0].fractions), box=None)
        for entry in groups:
            cells = [f"{mean:.3f}" for mean in entry.mean(pattern)]
            if len(entry.runs) > 1:
                spread = entry.spread(pattern)
                cells = [f"{cell} ± {s:.3f}" for cell, s in zip(cells, spread, strict=True)]
            table.add_row(entry.name, *cells)
        console.print(table)
    click.echo(f"± {SPREAD}")
    click.echo("\nlabels that change when only the canvas does")
    for entry in groups:
        for run in entry.runs:
            click.echo(f"{entry.name}, seed {run.config['seed']}: {run.flips}")
