"""Segmentation on this machine, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lacuna.cli.segment_plan import Job
from lacuna.cli.segment_run import Segment
from lacuna.client.protocols.native import JSON, NPZ, read_json, read_npz
from lacuna.client.result import ClassInfo, Result
from service.cli.loading import load_saved_model


@asynccontextmanager
async def open_models(
    model_repository: Path | None, parameters: dict[str, object], *, probabilities: bool
) -> AsyncIterator[Segment]:
    """Load models, and yield the function that segments with them.

    Args:
        model_repository: folder of `<model>/<version>/saved_model.pb`; None for the demo's.
        parameters: `model`, `version`, `nodata`, `timeout_s`; None is the same as leaving it out.
        probabilities: whether results hold probabilities, too.

    Raises:
        LacunaError: if a parameter is wrong.
    """
    from service.config import DEMO_REPOSITORY  # noqa: PLC0415 (all of these need the extra)
    from service.engine.lifecycle.repository import ModelRepository  # noqa: PLC0415
    from service.engine.segmenter import EnginePolicy, Segmenter  # noqa: PLC0415
    from service.engine.thread_allocation import allocate_threads, count_cores  # noqa: PLC0415
    from service.pipeline import Pipeline  # noqa: PLC0415
    from service.wire.native.request import make_request, read_parameters  # noqa: PLC0415

    asked = read_parameters({n: value for n, value in parameters.items() if value is not None})
    allocation = allocate_threads(None, None, count_cores())
    repository = ModelRepository(
        model_repository or DEMO_REPOSITORY, lambda folder: load_saved_model(folder, allocation)
    )
    segmenter = Segmenter(EnginePolicy(allocation.workers))
    pipeline = Pipeline(repository, segmenter)

    async def segment_job(job: Job) -> Result:
        mask = None if job.mask is None else job.mask.read_bytes()
        request = make_request(job.image.read_bytes(), mask, asked)
        answered = await pipeline.answer(request, NPZ if probabilities else JSON)
        timings_ms = {name: seconds * 1e3 for name, seconds in answered.timings_s.items()}
        if not probabilities:
            return read_json(answered.content, job.image, timings_ms)
        labels, shares = read_npz(answered.content)
        model = answered.model
        classes = tuple(
            ClassInfo(entry.id, entry.name, entry.color) for entry in model.runtime.manifest.classes
        )
        return Result(labels, classes, model.name, model.version, shares, timings_ms, job.image)

    try:
        await repository.load_all()
        yield segment_job
    finally:
        segmenter.close()
