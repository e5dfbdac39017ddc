"""Segmentation on this machine, without a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.cli.segment_plan import Job
from lacuna.cli.segment_run import SegmentJob
from lacuna.client.result import Result
from lacuna.raster.limits import ImageLimits
from lacuna.raster.sidecar import choose_mask
from service.cli.loading import load_saved_model

if TYPE_CHECKING:
    from lacuna.sample import Sample
    from service.runtime.manifest import Manifest
    from service.wire.native.request import Parameters


@asynccontextmanager
async def open_models(
    model_repository: Path | None, parameters: dict[str, object], *, probabilities: bool
) -> AsyncIterator[SegmentJob]:
    """Load models, and yield a function that segments an image with them.

    Args:
        model_repository: folder with `<model>/<version>/saved_model.pb`; None for the demo model.
        parameters: `model`, `version`, `nodata` and `timeout_s`; None counts as missing.
        probabilities: True to compute probabilities too.

    Raises:
        LacunaError: if a parameter is malformed.
    """
    from service.config import DEMO_REPOSITORY  # noqa: PLC0415 (all of these need the extra)
    from service.engine.lifecycle.repository import ModelRepository  # noqa: PLC0415
    from service.engine.segmenter import EnginePolicy, Segmenter  # noqa: PLC0415
    from service.engine.thread_allocation import allocate_threads, count_cores  # noqa: PLC0415
    from service.pipeline import Pipeline, SegmentOptions  # noqa: PLC0415
    from service.wire.native.request import read_parameters  # noqa: PLC0415

    parsed = read_parameters({n: value for n, value in parameters.items() if value is not None})
    allocation = allocate_threads(None, None, count_cores())
    repository = ModelRepository(
        model_repository or DEMO_REPOSITORY, lambda folder: load_saved_model(folder, allocation)
    )
    segmenter = Segmenter(EnginePolicy(allocation.workers))
    pipeline = Pipeline(segmenter)
    options = SegmentOptions(probabilities, parsed.timeout_s)

    async def segment_job(job: Job) -> Result:
        with repository.lease(parsed.model, parsed.version) as model:
            manifest = model.runtime.manifest
            began_s = time.perf_counter()
            sample = await asyncio.to_thread(_read_sample, job, manifest, parsed)
            decode_s = time.perf_counter() - began_s
            segmented = await pipeline.segment(model, [sample], options)
        segmentation = segmented.segmentations[0]
        stages_s = {"decode": decode_s, "queue": segmented.queue_s, "infer": segmented.infer_s}
        return Result(
            segmentation.labels,
            manifest.class_infos,
            model.name,
            model.version,
            segmentation.probabilities,
            {stage: seconds * 1e3 for stage, seconds in stages_s.items()},
            job.image,
        )

    try:
        await repository.load_all()
        yield segment_job
    finally:
        segmenter.close()


def _read_sample(job: Job, manifest: Manifest, parsed: Parameters) -> Sample:
    from service.wire.native.request import make_request  # noqa: PLC0415

    mask, nodata = choose_mask(job.image, job.mask, parsed.nodata)
    request = make_request(
        job.image.read_bytes(),
        None if mask is None else mask.read_bytes(),
        replace(parsed, nodata=nodata),
    )
    return request.read_samples(manifest, ImageLimits())[0]
