"""Segmentation on this machine, without a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lacuna.appearance.answers import find_warnings
from lacuna.appearance.comparison import AnswerWarning
from lacuna.cli.segment_plan import ImagePlan
from lacuna.cli.segment_run import SegmentImage
from lacuna.client.result import Result
from lacuna.raster.limits import UNLIMITED
from lacuna.raster.sidecar import choose_mask
from service.cli.loading import load_saved_model
from service.core.versions import is_model_name
from service.engine.lifecycle.layout import explain_model, explain_repository

if TYPE_CHECKING:
    from lacuna.sample import Sample
    from service.runtime.manifest import Manifest
    from service.wire.native.request import Parameters


@asynccontextmanager
async def open_models(
    model_repository: Path | None, parameters: dict[str, object], *, probabilities: bool
) -> AsyncIterator[SegmentImage]:
    """Load models, and yield a function that segments an image with them.

    Args:
        model_repository: folder with `<model>/<version>/saved_model.pb`; None for the demo model.
        parameters: those of a request; None counts as missing.
        probabilities: True to compute probabilities too.

    Raises:
        LacunaError: if a parameter is malformed.
        ClickException: if the repository does not hold the model.
    """
    from service.engine.lifecycle.repository import ModelRepository  # noqa: PLC0415
    from service.engine.segmenter import EnginePolicy, Segmenter  # noqa: PLC0415
    from service.engine.thread_allocation import allocate_threads, count_cores  # noqa: PLC0415
    from service.pipeline import Pipeline, SegmentOptions  # noqa: PLC0415
    from service.platforms import DEMO_REPOSITORY  # noqa: PLC0415 (all of these need the extra)
    from service.wire.native.request import read_parameters  # noqa: PLC0415

    root = model_repository or DEMO_REPOSITORY
    parsed = read_parameters({n: value for n, value in parameters.items() if value is not None})
    _check_layout(root, parsed.model)
    allocation = allocate_threads(None, None, count_cores())
    repository = ModelRepository(root, lambda folder: load_saved_model(folder, allocation))
    segmenter = Segmenter(EnginePolicy(allocation.workers))
    pipeline = Pipeline(segmenter)
    options = SegmentOptions(probabilities, parsed.timeout_s)

    async def segment_image(plan: ImagePlan) -> Result:
        with repository.lease(parsed.model, parsed.version) as model:
            manifest = model.runtime.manifest
            began_s = time.perf_counter()
            sample, warnings = await asyncio.to_thread(_read_sample, plan, manifest, parsed)
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
            plan.image,
            warnings=warnings,
        )

    try:
        await repository.load_all()
        yield segment_image
    finally:
        segmenter.close()


def _check_layout(root: Path, model: str | None) -> None:
    """Check that a repository holds a model, and the one that is named."""
    fault = explain_repository(root)
    if not fault and model is not None and is_model_name(model):
        fault = explain_model(root, model)
    if fault:
        raise click.ClickException(fault)


def _read_sample(
    plan: ImagePlan, manifest: Manifest, parsed: Parameters
) -> tuple[Sample, tuple[AnswerWarning, ...]]:
    from service.wire.native.request import make_request  # noqa: PLC0415

    mask, nodata = choose_mask(plan.image, plan.mask, parsed.nodata)
    request = make_request(
        plan.image.read_bytes(),
        None if mask is None else mask.read_bytes(),
        replace(parsed, nodata=nodata),
    )
    (sample,) = samples = request.read_samples(manifest, UNLIMITED)
    return sample, find_warnings(samples, manifest.image.familiar_range)
