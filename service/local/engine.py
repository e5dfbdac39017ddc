"""The engine on this machine, for commands that segment without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from service.core.versions import is_model_name
from service.engine.lifecycle.layout import explain_model, explain_repository
from service.local.loading import load_model
from service.variables import find_cache_folder

if TYPE_CHECKING:
    from service.engine.lifecycle.repository import ModelRepository
    from service.engine.segmenter import Segmenter


class LocalEngine(NamedTuple):
    """Models and what runs them.

    Attributes:
        repository: models.
        segmenter: segmenter that runs them.
        workers: number of concurrent batches.
    """

    repository: ModelRepository
    segmenter: Segmenter
    workers: int


@asynccontextmanager
async def open_engine(
    model_repository: Path | None, model: str | None, cores: int | None = None
) -> AsyncIterator[LocalEngine]:
    """Load a model and yield what runs it; all models, if none is named and there is no default.

    Nothing is warmed up. What the contract check found is kept in the server's cache, so that it
    runs once for each model.

    Args:
        model_repository: folder of `<model>/<version>/`; None for the demo's.
        model: name of the model that will be used; None for the only one, or the demo's default.
        cores: cores to use; None for all.

    Raises:
        ClickException: if the repository does not hold the model.
    """
    from service.engine.lifecycle.calibration import CalibrationStore  # noqa: PLC0415
    from service.engine.lifecycle.repository import ModelRepository  # noqa: PLC0415
    from service.engine.segmenter import EnginePolicy, Segmenter  # noqa: PLC0415
    from service.engine.thread_allocation import allocate_threads, count_cores  # noqa: PLC0415
    from service.platforms import (  # noqa: PLC0415 (all of these need the extra)
        DEMO_REPOSITORY,
        find_demo_model,
    )

    root = model_repository or DEMO_REPOSITORY
    _check_layout(root, model)
    named = find_demo_model(root) if model is None else model
    allocation = allocate_threads(None, None, cores or count_cores())
    repository = ModelRepository(
        root,
        lambda folder: load_model(folder, allocation),
        names=(named,) if named is not None and is_model_name(named) else (),
        store=CalibrationStore(_find_folder(), allocation),
    )
    segmenter = Segmenter(EnginePolicy(allocation.workers))
    try:
        await repository.load_all()
        yield LocalEngine(repository, segmenter, allocation.workers)
    finally:
        segmenter.close()


def _find_folder() -> Path | None:
    """Return the folder of calibrations; None if the user has no home."""
    try:
        return find_cache_folder()
    except RuntimeError:
        return None


def _check_layout(root: Path, model: str | None) -> None:
    """Check that a repository holds a model, and the one that is named."""
    fault = explain_repository(root)
    if not fault and model is not None and is_model_name(model):
        fault = explain_model(root, model)
    if fault:
        raise click.ClickException(fault)
