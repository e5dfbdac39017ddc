"""Progress bars of the commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from model.training.loop import OnStep


def make_progress(*columns: str) -> Progress:
    """Make a progress bar, with further columns."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(column) for column in columns),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


@contextmanager
def show_training(steps: int, iou_name: str) -> Iterator[OnStep]:
    """Show the progress of a training, and report a conflict of its run's folder.

    Args:
        steps: of the training.
        iou_name: name of the mean IoU that the training shows.

    Yields:
        The function for the training to call after each step.

    Raises:
        click.ClickException: if the folder belongs to another run.
    """
    from model.training.plans import RunConflictError  # noqa: PLC0415

    columns = ("loss {task.fields[loss]:.3f}", f"{iou_name} {{task.fields[iou]:.3f}}")
    try:
        with make_progress(*columns) as progress:
            task = progress.add_task("training", total=steps, loss=float("nan"), iou=0.0)
            yield lambda step, loss, iou: progress.update(task, completed=step, loss=loss, iou=iou)
    except RunConflictError as error:
        raise click.ClickException(str(error)) from error
