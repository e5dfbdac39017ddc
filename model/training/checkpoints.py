"""The checkpoint of a training: its state after an interval, to resume from.

A checkpoint is one file that replaces the last one whole, so a process that is killed at any
moment leaves a complete one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.atomic import replace_file

CHECKPOINT_FILE = "checkpoint.npz"

Arrays = list[NDArray[Any]]


@dataclass
class Progress:
    """State of a training after an interval.

    Attributes:
        step: number of batches so far.
        history: measurements after each interval, oldest first.
        weights: of the network.
        optimizer: its state.
        best: weights with the best score on the validation images; empty without validation.
    """

    step: int
    history: list[dict[str, float]] = field(default_factory=list)
    weights: Arrays = field(default_factory=list)
    optimizer: Arrays = field(default_factory=list)
    best: Arrays = field(default_factory=list)


def save_progress(folder: Path, progress: Progress) -> None:
    """Replace the checkpoint in a run's folder."""
    buffer = io.BytesIO()
    arrays = {
        f"{name}_{index:05}": array
        for name in ("weights", "optimizer", "best")
        for index, array in enumerate(getattr(progress, name))
    }
    facts = json.dumps({"step": progress.step, "history": progress.history})
    np.savez(buffer, facts=np.asarray(facts), **arrays)
    replace_file(folder / CHECKPOINT_FILE, buffer.getvalue())


def load_progress(folder: Path) -> Progress | None:
    """Return the checkpoint in a run's folder, or None."""
    path = folder / CHECKPOINT_FILE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        names = sorted(file.files)
        parts = {
            part: [file[name] for name in names if name.startswith(f"{part}_")]
            for part in ("weights", "optimizer", "best")
        }
        facts = json.loads(str(file["facts"]))
    return Progress(step=facts["step"], history=facts["history"], **parts)


def read_variables(variables: Sequence[Any]) -> Arrays:
    """Return copies of the values of Keras variables."""
    return [np.array(variable.numpy()) for variable in variables]


def write_variables(variables: Sequence[Any], values: Arrays) -> None:
    """Assign values to Keras variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
