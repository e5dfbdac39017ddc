"""Windows of scenes on this machine, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.local.engine import open_engine
from service.local.windows import LocalRunner


@asynccontextmanager
async def open_runner(
    model_repository: Path | None, model: str | None, version: str | None
) -> AsyncIterator[LocalRunner]:
    """Load a model, and yield what runs it on windows.

    Args:
        model_repository: folder of `<model>/<version>/`; None for the demo's.
        model: name of the model; None for the default one, or the only one.
        version: version of the model; None for the highest.

    Raises:
        UnknownModelError: if there is no such model, or it must be named.
        ClickException: if the repository does not hold the model.
    """
    async with open_engine(model_repository, model) as engine:
        with engine.repository.lease(model, version) as served:
            yield LocalRunner(engine, served)
