"""Output of the commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from model.comparison.groups import RunGroup
    from model.data.folders import Dataset
    from model.scoring.flips import Flips

_TABLE_WIDTH = 120


def print_dataset(dataset: Dataset) -> None:
    """Print a summary of a folder of images."""
    description = dataset.description
    click.echo(
        f"{dataset.folder}: {len(dataset.training)} training images, "
        f"{len(dataset.validation)} validation images; {description.channels} channels of "
        f"{description.dtype}, {dataset.valid_fraction:.1%} valid"
    )
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


def print_flips(flips: Flips) -> None:
    """Print the number of labels that change with the canvas."""
    click.echo(f"labels that change when only the canvas does: {flips}")


def print_comparison(groups: Sequence[RunGroup]) -> None:
    """Print the mean IoU of all groups for each pattern, and the changed labels."""
    from model.comparison.curves import FRACTIONS  # noqa: PLC0415
    from model.comparison.groups import ALL_PATTERNS  # noqa: PLC0415
    from model.data.nodata import PATTERNS_TO_COMPARE  # noqa: PLC0415

    console = Console(width=_TABLE_WIDTH)
    for pattern in (ALL_PATTERNS, *PATTERNS_TO_COMPARE):
        click.echo(f"\nmean IoU, {'mean of all patterns' if pattern == ALL_PATTERNS else pattern}")
        table = Table("missing", *(f"{fraction:.0%}" for fraction in FRACTIONS), box=None)
        for entry in groups:
            cells = [f"{mean:.3f}" for mean in entry.mean(pattern)]
            if len(entry.runs) > 1:
                spread = entry.spread(pattern)
                cells = [f"{cell} ± {s:.3f}" for cell, s in zip(cells, spread, strict=True)]
            table.add_row(entry.name, *cells)
        console.print(table)
    click.echo("± half the distance from the worst seed to the best")
    click.echo("\nlabels that change when only the canvas does")
    for entry in groups:
        for run in entry.runs:
            click.echo(f"{entry.name}, seed {run.config['seed']}: {run.flips}")
