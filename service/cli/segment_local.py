"""Segmentation on this machine, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lacuna.cli.segment_plan import ImagePlan
from lacuna.cli.segment_run import SegmentImage
from lacuna.client.result import Result
from service.local.engine import open_engine
from service.local.images import segment_with


@asynccontextmanager
async def open_models(
    model_repository: Path | None, parameters: dict[str, object], *, probabilities: bool
) -> AsyncIterator[SegmentImage]:
    """Load models, and yield a function that segments an image with them.

    Args:
        model_repository: folder of `<model>/<version>/`; None for the demo's.
        parameters: those of a request; None counts as missing.
        probabilities: True to compute probabilities too.

    Raises:
        LacunaError: if a parameter is malformed.
        ClickException: if the repository does not hold the model.
    """
    from service.wire.native.parameters import read_parameters  # noqa: PLC0415 (all need the extra)

    parsed = read_parameters({n: value for n, value in parameters.items() if value is not None})
    async with open_engine(model_repository, parsed.model) as engine:

        async def segment_image(plan: ImagePlan) -> Result:
            return await segment_with(engine, plan, parsed, probabilities=probabilities)

        yield segment_image
