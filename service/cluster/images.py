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
from lacuna.plugins import ClusterOptions
from service.cluster.model_workers import open_workers
from service.local.images import read_files


@asynccontextmanager
async def open_models(
    options: ClusterOptions,
    model_repository: Path | None,
    parameters: dict[str, object],
    *,
    probabilities: bool,
) -> AsyncIterator[SegmentImage]:
    """Start workers with a model on a cluster, and yield a function that segments an image there.

    Args:
        options: the cluster, and the workers on it.
        model_repository: folder of `<model>/<version>/` on this machine; None for the demo's.
        parameters: those of a request; None counts as missing.
        probabilities: True to compute probabilities too.

    Raises:
        LacunaError: if a parameter is malformed, or as `open_workers`.
    """
    from service.wire.native.parameters import read_parameters  # noqa: PLC0415 (needs the extra)

    parsed = read_parameters({n: value for n, value in parameters.items() if value is not None})
    async with open_workers(options, model_repository, parsed.model, parsed.version) as opened:
        pool = opened.pool
        # Files are read only when it is nearly their turn: memory holds no more of them.
        seats = asyncio.Semaphore(pool.concurrency + 1)

        async def segment_image(plan: ImagePlan) -> Result:
            async with seats:
                files = await asyncio.to_thread(read_files, plan, parsed.nodata)
                found: Result = await pool.call("segment_image", plan, files, parsed, probabilities)
            return replace(found, image=plan.image)

        yield segment_image
