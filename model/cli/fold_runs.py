"""Cross-validation: a training for each fold, and the scores of all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from model.cli.folder_runs import train_on_folder
from model.cli.printing import print_dataset

if TYPE_CHECKING:
    from model.data.dataset import Dataset
    from model.training.folders import FolderTrainingConfig
    from model.training.starting import Start

FOLDS_FILE = "folds.json"


def train_on_folds(
    config: FolderTrainingConfig,
    datasets: Sequence[Dataset],
    output: Path,
    start: Start | None = None,
) -> None:
    """Train and score a network for each fold, then print and write the scores of all."""
    from model.atomic import replace_file  # noqa: PLC0415
    from model.scoring.scores import read_scores  # noqa: PLC0415

    scores = {}
    for dataset in datasets:
        name = dataset.fold.partition("/")[2]
        click.echo(f"fold {name}")
        print_dataset(dataset)
        train_on_folder(config, dataset, find_fold(output, name), start)
        scores[name] = read_scores(find_fold(output, name))
    summary = {"folds": scores, "mean": summarise_folds(list(scores.values()))}
    replace_file(output / FOLDS_FILE, (json.dumps(summary, indent=2) + "\n").encode())
    _print(summary)
    click.echo(f"{output / FOLDS_FILE}: the scores of all folds")


def find_fold(output: Path, name: str) -> Path:
    """Return the folder of a fold's run."""
    return output / f"fold-{name}"


def summarise_folds(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means over folds of the mean IoU, and of the IoU of each class where it occurs.

    Args:
        scores: of each fold, from `describe_scores`.
    """
    keys = list(scores[0]["mean_iou"])
    classes = list(scores[0]["class_iou"][keys[0]])
    return {
        "mean_iou": {key: _mean([one["mean_iou"][key] for one in scores]) for key in keys},
        "class_iou": {
            key: {name: _mean([one["class_iou"][key][name] for one in scores]) for name in classes}
            for key in keys
        },
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None


def _print(summary: Mapping[str, Any]) -> None:
    rows = {**summary["folds"], "mean": summary["mean"]}
    first = next(iter(summary["mean"]["class_iou"]))
    keys, classes = summary["mean"]["mean_iou"], summary["mean"]["class_iou"][first]
    table = Table("fold", *classes, *(key.replace("_", " ") + " %" for key in keys), box=None)
    for name, scores in rows.items():
        values = [*scores["class_iou"][first].values(), *scores["mean_iou"].values()]
        table.add_row(name, *("–" if value is None else f"{value:.3f}" for value in values))
    Console(width=120).print(table)
