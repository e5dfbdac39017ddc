"""The state of a training that was cut short, so that the same command goes on with it.

A run's folder is claimed by its plan, all that decides what the training yields. A checkpoint is
one file that replaces the last one whole, so a process that is killed at any moment leaves a
complete one.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAN_FILE = "plan.json"
CHECKPOINT_FILE = "checkpoint.npz"

Arrays = list[NDArray[Any]]


class RunConflictError(ValueError):
    """A folder that belongs to another run."""


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        step: batches trained on.
        history: what was measured after each interval, oldest first.
        weights: of the network.
        optimizer: its state.
        best: the weights that did best on the validation images.
    """

    step: int
    history: list[dict[str, float]] = field(default_factory=list)
    weights: Arrays = field(default_factory=list)
    optimizer: Arrays = field(default_factory=list)
    best: Arrays = field(default_factory=list)


def claim_folder(folder: Path, plan: Mapping[str, Any], *, anew: bool = False) -> None:
    """Write a plan into a run's folder, or hold the one that is there to it.

    Args:
        folder: made if it is not there.
        plan: JSON values that decide what the training yields.
        anew: take the folder whatever is in it.

    Raises:
        RunConflictError: if the folder belongs to another plan; the message names what differs.
    """
    path = folder / PLAN_FILE
    text = _write_plan(plan)
    if anew or not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if not anew and any(path.suffix == ".keras" for path in folder.iterdir()):
            raise RunConflictError(
                f"a run must have a folder of its own. Received: {folder}, of another"
            )
        replace_file(path, text.encode())
        return
    if path.read_text() != text:
        differences = "; ".join(_compare(json.loads(path.read_text()), json.loads(text)))
        raise RunConflictError(
            f"a run goes on with the configuration and the images that it was begun with; name "
            f"another folder for another run. Received: {folder}, where {differences}"
        )


def read_plan(folder: Path) -> dict[str, Any] | None:
    """Read the plan that claimed a folder; None if there is none."""
    path = folder / PLAN_FILE
    return dict(json.loads(path.read_text())) if path.is_file() else None


def follows_plan(folder: Path, plan: Mapping[str, Any]) -> bool:
    """Tell whether a folder was claimed by this very plan."""
    path = folder / PLAN_FILE
    return path.is_file() and path.read_text() == _write_plan(plan)


def abandon(folder: Path) -> None:
    """Take the plan and the checkpoint out of a folder."""
    for name in (CHECKPOINT_FILE, PLAN_FILE):
        (folder / name).unlink(missing_ok=True)


def _write_plan(plan: Mapping[str, Any]) -> str:
    return json.dumps(plan, indent=2, sort_keys=True) + "\n"


def _compare(old: Any, new: Any, name: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            path = f"{name}.{key}" if name else key
            yield from _compare(old.get(key), new.get(key), path)
    elif json.dumps(old) != json.dumps(new):
        yield f"{name} was {old}, and is {new} now"


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
    """Read the checkpoint in a run's folder; None if there is none."""
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
    """Copy the values of Keras variables."""
    return [np.array(variable.numpy()) for variable in variables]


def write_variables(variables: Sequence[Any], values: Arrays) -> None:
    """Give Keras variables their values back."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, even if the process or the machine stops meanwhile."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
