"""Report of a run of `lacuna segment`."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console

from lacuna.cli.segment_plan import ImagePlan
from lacuna.cli.segment_run import ImageFailure, ImageSuccess
from lacuna.cli.segment_summary import describe, describe_warnings, draw_table

SOME_FAILED = 3
"""Exit status if some images were segmented and others failed."""


def report(
    plans: Sequence[ImagePlan],
    todo: Sequence[ImagePlan],
    succeeded: Sequence[ImageSuccess],
    failed: Sequence[ImageFailure],
    seconds: float,
) -> None:
    """Report the outcome of the images, and end with the status that says so.

    Args:
        plans: all images.
        todo: those that were not done before.
        succeeded: those that were segmented.
        failed: those that were not.
        seconds: time that the run took.
    """
    for line in describe_warnings(succeeded):
        click.echo(line, err=True)
    if len(plans) == 1 and failed:
        raise failed[0].error
    for failure in failed:
        click.echo(f"{failure.plan.image}: {_explain(failure.error)}", err=True)
    if len(plans) == 1 and succeeded:
        click.echo(describe(succeeded[0]))
        return
    if succeeded:
        Console().print(draw_table(succeeded))
    left = len(todo) - len(succeeded) - len(failed)
    counts = {
        "segmented": len(succeeded),
        "done before": len(plans) - len(todo),
        "failed": len(failed),
        "not started": left,
    }
    summary = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    pace = f" in {seconds:.1f} s, {len(succeeded) / seconds:.1f} images/s" if succeeded else ""
    click.echo(f"{summary}{pace}")
    if failed:
        click.echo("run it again with --resume for the rest", err=True)
        raise SystemExit(SOME_FAILED if len(plans) - len(failed) - left else 1)


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
