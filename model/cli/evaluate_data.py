"""Scoring of an exported or served model on a labelled folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lacuna.client import Client
from lacuna.errors import LacunaError
from model.cli.folder_runs import score_with_progress
from model.cli.loading import load_tensorflow, read_dataset, read_labelled
from model.cli.printing import print_folder_scores

if TYPE_CHECKING:
    from model.data.dataset import Dataset
    from model.scoring.images import AnyPredictor

_SCHEMES = ("http://", "https://")


def evaluate_on_data(
    model: str,
    data: Path,
    part: str,
    name: str | None,
    api_key: str | None,
    output: Path | None,
) -> None:
    """Score a model on a labelled folder, and print the scores.

    Args:
        model: folder of an exported model, or URL of a server.
        data: folder of images.
        part: those to score: `all`, or a part of the split.
        name: of the server's model.
        api_key: of the server; None for none.
        output: file for the scores; None for none.
    """
    if not model.startswith(_SCHEMES) and (name is not None or api_key is not None):
        raise click.UsageError("--model, --api-key and --api-key-file are for the URL of a server")
    dataset = _choose_part(data, part)
    load_tensorflow()
    from model.atomic import replace_file  # noqa: PLC0415
    from model.scoring.folders import describe_folder_scores  # noqa: PLC0415

    names = [entry.name for entry in dataset.description.classes]
    try:
        with _open(model, name, api_key, dataset) as predictor:
            # A baseline that was fitted to the scored images would be too good.
            is_fair = part in ("validation", "test")
            found = score_with_progress(predictor, dataset, with_baseline=is_fair)
    except (ValueError, LacunaError) as error:
        raise click.ClickException(str(error)) from error
    print_folder_scores(found, names)
    if output is not None:
        described = describe_folder_scores(found, dataset)
        described["data"] = f"{part} images of {dataset.description.name}: {len(dataset.scored)}"
        replace_file(output, (json.dumps(described, indent=2) + "\n").encode())
        click.echo(f"{output}: the scores")


def _choose_part(data: Path, part: str) -> Dataset:
    if part == "all":
        return read_labelled(data)
    dataset = read_dataset(data)
    chosen = getattr(dataset, part)
    if not chosen:
        raise click.ClickException(f"{data} has no {part} images")
    return dataclasses.replace(dataset, test=chosen)


@contextmanager
def _open(
    model: str, name: str | None, api_key: str | None, dataset: Dataset
) -> Iterator[AnyPredictor]:
    from model.scoring.exported import open_exported, open_served  # noqa: PLC0415

    names = [entry.name for entry in dataset.description.classes]
    channels = dataset.description.channels or 1
    if model.startswith(_SCHEMES):
        with Client(model, api_key=api_key) as client:
            yield open_served(client, name, names, channels)
    else:
        yield open_exported(Path(model), names, channels)
