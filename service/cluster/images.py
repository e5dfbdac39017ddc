"""Images on a cluster: their files are read and written here, and the rest is done there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from lacuna.cli.segment_plan import ImagePlan
from lacuna.cli.segment_run import SegmentImage
from lacuna.client.result import Result
from service.cluster.workers import open_workers
from service.local.images import read_files


@asynccontextmanager
async def open_models(
    address: str,
    model_repository: Path | None,
    parameters: dict[str, object],
    *,
    probabilities: bool,
    workers: int | None = None,
    patience_s: float = 120.0,
) -> AsyncIterator[SegmentImage]:
    """Start workers with a model on a cluster, and yield a function that segments an image there.

    Args:
        address: as for `open_workers`, like all that is not listed.
        model_repository: as there.
        parameters: those of a request; None counts as missing.
        probabilities: True to compute probabilities too.
        workers: as there.
        patience_s: as there.

    Raises:
        LacunaError: if a parameter is malformed, or as `open_workers`.
    """
    from service.wire.native.parameters import read_parameters  # noqa: PLC0415 (needs the extra)

    parsed = read_parameters({n: value for n, value in parameters.items() if value is not None})
    opening = open_workers(
        address,
        model_repository,
        parsed.model,
        parsed.version,
        workers=workers,
        patience_s=patience_s,
    )
    async with opening as opened:
        pool = opened.pool
        # Files are read only when it is nearly their turn: memory holds no more of them.
        seats = asyncio.Semaphore(pool.concurrency + 1)

        async def segment_image(plan: ImagePlan) -> Result:
            async with seats:
                files = await asyncio.to_thread(read_files, plan, parsed.nodata)
                found: Result = await pool.call("segment_image", plan, files, parsed, probabilities)
            return replace(found, image=plan.image)

        yield segment_image
