"""Segmentation on this machine, without a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.appearance.answers import find_warnings
from lacuna.appearance.comparison import AnswerWarning
from lacuna.cli.segment_plan import ImagePlan
from lacuna.cli.segment_run import SegmentImage
from lacuna.client.result import Result
from lacuna.errors import OutOfMemoryError, RequestError
from lacuna.outputs import find_by_suffix
from lacuna.raster.bands import BandSelection
from lacuna.raster.files import is_large, map_file
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import UNLIMITED
from lacuna.raster.sidecar import choose_mask, name_sidecar
from service.cli.local_engine import open_engine
from service.engine.memory import measure_free_bytes

if TYPE_CHECKING:
    from lacuna.sample import Sample
    from service.runtime.manifest import Manifest
    from service.wire.native.parameters import Parameters


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
    from service.pipeline import Pipeline, SegmentOptions  # noqa: PLC0415
    from service.wire.native.parameters import read_parameters  # noqa: PLC0415 (all need the extra)
    from service.wire.native.place import locate  # noqa: PLC0415

    parsed = read_parameters({n: value for n, value in parameters.items() if value is not None})
    options = SegmentOptions(probabilities, parsed.timeout_s)

    async with open_engine(model_repository, parsed.model) as engine:
        pipeline = Pipeline(engine.segmenter)

        async def segment_image(plan: ImagePlan) -> Result:
            with engine.repository.lease(parsed.model, parsed.version) as model:
                manifest = model.runtime.manifest
                began_s = time.perf_counter()
                sample, warnings = await asyncio.to_thread(_read_sample, plan, manifest, parsed)
                decode_s = time.perf_counter() - began_s
                segmented = await pipeline.segment(model, [sample], options)
            segmentation = segmented.segmentations[0]
            stages_s = {"decode": decode_s, "queue": segmented.queue_s, "infer": segmented.infer_s}
            result = Result(
                segmentation.labels,
                manifest.class_infos,
                model.name,
                model.version,
                segmentation.probabilities,
                {stage: seconds * 1e3 for stage, seconds in stages_s.items()},
                plan.image,
                warnings=warnings,
            )
            if sample.georeference is None:
                return result
            kind = find_by_suffix(plan.output.suffix)
            return await asyncio.to_thread(locate, result, sample.georeference, kind)

        yield segment_image


def _read_sample(
    plan: ImagePlan, manifest: Manifest, parsed: Parameters
) -> tuple[Sample, tuple[AnswerWarning, ...]]:
    from service.wire.native.request import make_request  # noqa: PLC0415

    if is_large(plan.image):
        _check_memory(plan.image, parsed.bands)
    mask, nodata = plan.mask, parsed.nodata
    if plan.takes_sidecar:
        mask, nodata = choose_mask(plan.image, mask, nodata)
    request = make_request(
        plan.image.read_bytes(),
        None if mask is None else mask.read_bytes(),
        replace(parsed, nodata=nodata),
    )
    try:
        (sample,) = samples = request.read_samples(manifest, UNLIMITED)
    except RequestError as error:
        raise name_sidecar(error, None if mask is plan.mask else mask) from None
    return sample, find_warnings(samples, manifest.image.familiar_range)


def _check_memory(path: Path, bands: BandSelection) -> None:
    """Refuse an image by its header if memory does not suffice to decode it.

    Raises:
        RequestError: if the header is damaged.
        OutOfMemoryError: if memory does not suffice.
    """
    needed_bytes = ImageFile(map_file(path)).estimate_bytes(UNLIMITED, bands)
    free_bytes = measure_free_bytes()
    if needed_bytes > free_bytes:
        raise OutOfMemoryError(
            f"memory must hold the whole image, unless the output is a .tif; decoding takes "
            f"{needed_bytes / 1e9:.1f} GB, and {free_bytes / 1e9:.1f} GB are free"
        )
