"""Comparison of cross-validations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from model.cli.fold_runs import FOLDS_FILE, find_fold
from model.cli.loading import load_tensorflow
from model.cli.printing import print_folds

if TYPE_CHECKING:
    from model.comparison.folds import FoldedRun


def are_folds(folders: Sequence[Path]) -> bool:
    """Return whether folders hold cross-validations, or exit if only some do."""
    held = [(folder / FOLDS_FILE).is_file() for folder in folders]
    if any(held) and not all(held):
        raise click.ClickException(
            f"folders to compare must all hold {FOLDS_FILE}, or all be runs; "
            f"{folders[held.index(True)]} holds it, and {folders[held.index(False)]} does not"
        )
    return all(held)


def evaluate_folds(folders: Sequence[Path], output: Path | None) -> None:
    """Print the scores of cross-validations over their seeds, as they are in their folders.

    Args:
        folders: that `train --folds` wrote.
        output: file for the numbers; None for none.
    """
    load_tensorflow()
    from model.atomic import replace_file  # noqa: PLC0415
    from model.comparison.folds import describe_folds, group_folded_runs  # noqa: PLC0415

    try:
        groups = group_folded_runs([_read(folder) for folder in folders])
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    print_folds(groups)
    if output is not None:
        replace_file(output, (json.dumps(describe_folds(groups), indent=2) + "\n").encode())
        click.echo(f"{output}: the numbers")


def _read(folder: Path) -> FoldedRun:
    from model.comparison.folds import FoldedRun  # noqa: PLC0415

    summary = json.loads((folder / FOLDS_FILE).read_text())
    records = {name: _read_record(find_fold(folder, name)) for name in summary["folds"]}
    return FoldedRun(
        next(iter(records.values()))["config"],
        {name: record["dataset"]["digest"] for name, record in records.items()},
        summary["folds"],
        summary["mean"],
    )


def _read_record(run: Path) -> dict[str, Any]:
    from model.training.starting import TRAINING_FILE  # noqa: PLC0415

    path = run / TRAINING_FILE
    if not path.is_file():
        raise ValueError(f"a folder of folds must hold the runs of all; {path} is missing")
    return dict(json.loads(path.read_text()))
