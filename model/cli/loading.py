"""Loading of TensorFlow, runs and folders of images for the commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.console import Console

from lacuna.native_stderr import mute_native_stderr

if TYPE_CHECKING:
    import keras

    from model.data.dataset import Dataset

RUN = click.Path(exists=True, file_okay=False, path_type=Path)


class LoadedRun(NamedTuple):
    """Folder, network and record of a finished training.

    Attributes:
        folder: of the run.
        network: as it was trained.
        record: of the training.
    """

    folder: Path
    network: keras.Model
    record: dict[str, Any]


def load_tensorflow() -> None:
    """Import TensorFlow without the messages of its libraries on the standard error.

    These appear before any setting can silence them. Every command that needs TensorFlow calls this
    first.
    """
    with mute_native_stderr():
        import tensorflow as tf  # noqa: F401, PLC0415


def load_run(folder: Path) -> LoadedRun:
    """Load a run, or exit with the reason."""
    load_tensorflow()
    from model.training.runs import load_run as load  # noqa: PLC0415

    try:
        return LoadedRun(folder, *load(folder))
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def read_dataset(folder: Path, fold: str = "") -> Dataset:
    """Return a checked folder of images, or exit with all its faults; without TensorFlow."""
    from model.data.folders import read_dataset as read  # noqa: PLC0415

    with _report_faults(folder):
        return read(folder, fold=fold)


def read_recorded(record: Mapping[str, Any]) -> Dataset:
    """Return the checked folder of images that a run was trained on, or exit with its faults."""
    source = record["dataset"]
    return read_dataset(Path(source["folder"]), source.get("fold", ""))


def read_folds(folder: Path, folds: str) -> list[Dataset]:
    """Return the folds of a checked folder of images, or exit with all its faults."""
    from model.data.folders import read_folds as read  # noqa: PLC0415

    with _report_faults(folder):
        return read(folder, folds)


def read_labelled(folder: Path) -> Dataset:
    """Return a checked folder of images to score, or exit with all its faults."""
    from model.data.folders import read_labelled as read  # noqa: PLC0415

    with _report_faults(folder):
        return read(folder)


@contextmanager
def _report_faults(folder: Path) -> Iterator[None]:
    from model.data.folders import DatasetError  # noqa: PLC0415

    try:
        with Console(stderr=True).status(f"checking {folder}"):
            yield
    except DatasetError as error:
        raise click.ClickException(str(error)) from error
