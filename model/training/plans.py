"""The plan of a training, which claims its run's folder.

A plan holds everything that decides the result of the training. The same plan may resume in the
folder; another plan is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model.atomic import replace_file
from model.training.checkpoints import CHECKPOINT_FILE

PLAN_FILE = "plan.json"


class RunConflictError(ValueError):
    """A folder that belongs to another run."""


def claim_folder(folder: Path, plan: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Write a plan into a run's folder, or check that the folder has the same plan already.

    Args:
        folder: created if it does not exist.
        plan: JSON values that decide the result of the training.
        overwrite: claim the folder whatever is in it.

    Raises:
        RunConflictError: if the folder belongs to another plan; the message names what differs.
    """
    path = folder / PLAN_FILE
    text = _write_plan(plan)
    if overwrite or not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if not overwrite and any(path.suffix == ".keras" for path in folder.iterdir()):
            raise RunConflictError(
                f"a run must have a folder of its own. Received: {folder}, which holds another run"
            )
        replace_file(path, text.encode())
        return
    if path.read_text() != text:
        differences = "; ".join(_compare(json.loads(path.read_text()), json.loads(text)))
        raise RunConflictError(
            f"a run resumes only with the same configuration and images; name "
            f"another folder for another run. Received: {folder}, where {differences}"
        )


def read_plan(folder: Path) -> dict[str, Any] | None:
    """Return the plan that claimed a folder, or None."""
    path = folder / PLAN_FILE
    return dict(json.loads(path.read_text())) if path.is_file() else None


def follows_plan(folder: Path, plan: Mapping[str, Any]) -> bool:
    """Return whether this plan claimed the folder."""
    path = folder / PLAN_FILE
    return path.is_file() and path.read_text() == _write_plan(plan)


def release_folder(folder: Path) -> None:
    """Remove the plan and the checkpoint from a folder."""
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
        yield f"{name} was {old} and is now {new}"
