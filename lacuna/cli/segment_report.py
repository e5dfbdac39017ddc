"""Report of a run of `lacuna segment`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from lacuna.cli.console import make_console
from lacuna.cli.segment_exports import export
from lacuna.cli.segment_plan import ImagePlan
from lacuna.cli.segment_run import ImageFailure, ImageSuccess
from lacuna.cli.segment_summary import MOST_ROWS, describe, describe_warnings, draw_table

SOME_FAILED = 3
"""Exit status if some images were segmented and others failed."""


def report(
    plans: Sequence[ImagePlan],
    todo: Sequence[ImagePlan],
    succeeded: Sequence[ImageSuccess],
    failed: Sequence[ImageFailure],
    seconds: float,
    *,
    form: str | None = None,
    name: Callable[[Path], str] = str,
    to_stderr: bool = False,
) -> None:
    """Report the outcome of the images, and end with the status that says so.

    Args:
        plans: all images.
        todo: those that were not done before.
        succeeded: those that were segmented.
        failed: those that were not.
        seconds: time that the run took.
        form: format of a summary for programs; None for people.
        name: function that returns the name of a file.
        to_stderr: True if the standard output is an output.
    """
    for line in describe_warnings(succeeded, name):
        click.echo(line, err=True)
    if form is not None:
        click.echo(export(form, succeeded, failed, name), err=to_stderr, nl=False)
    if len(plans) == 1 and failed:
        raise failed[0].error
    for failure in failed:
        click.echo(f"{failure.plan.image}: {_explain(failure.error)}", err=True)
    if len(plans) == 1 and succeeded:
        if form is None:
            click.echo(describe(succeeded[0], name(succeeded[0].plan.output)), err=to_stderr)
        return
    if succeeded and form is None:
        console = make_console()
        console.print(draw_table(succeeded, MOST_ROWS if console.is_terminal else None))
    left = len(todo) - len(succeeded) - len(failed)
    counts = {
        "segmented": len(succeeded),
        "done before": len(plans) - len(todo),
        "failed": len(failed),
        "not started": left,
    }
    summary = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    pace = f" in {seconds:.1f} s, {len(succeeded) / seconds:.1f} images/s" if succeeded else ""
    click.echo(f"{summary}{pace}", err=form is not None)
    if failed:
        click.echo("run it again with --resume for the rest", err=True)
        raise SystemExit(SOME_FAILED if len(plans) - len(failed) - left else 1)


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
