"""Segmentation of images with the models of this process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lacuna.appearance.answers import find_warnings
from lacuna.appearance.comparison import AnswerWarning
from lacuna.cli.segment_plan import ImagePlan
from lacuna.client.result import Result
from lacuna.errors import OutOfMemoryError, RequestError
from lacuna.outputs import find_by_suffix
from lacuna.raster.bands import BandSelection
from lacuna.raster.files import LARGE_BYTES, is_large, map_file
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import UNLIMITED
from lacuna.raster.nodata import NoData
from lacuna.raster.sidecar import choose_mask, name_sidecar
from service.engine.memory import measure_free_bytes
from service.local.engine import LocalEngine

if TYPE_CHECKING:
    from lacuna.raster.npy import Buffer
    from lacuna.sample import Sample
    from service.runtime.manifest import Manifest
    from service.wire.native.parameters import Parameters


async def segment_with(
    engine: LocalEngine,
    plan: ImagePlan,
    parsed: Parameters,
    *,
    probabilities: bool,
    files: ImageFiles | None = None,
) -> Result:
    """Segment an image with the models of this process.

    Args:
        engine: models.
        plan: files of the image.
        parsed: parameters.
        probabilities: True to compute probabilities too.
        files: contents of image and mask; None to read them here.

    Raises:
        LacunaError: if the image cannot be read or segmented.
        OSError: if a file cannot be read.
    """
    from service.pipeline import Pipeline, SegmentOptions  # noqa: PLC0415
    from service.wire.native.place import locate  # noqa: PLC0415

    options = SegmentOptions(probabilities, parsed.timeout_s)
    with engine.repository.lease(parsed.model, parsed.version) as model:
        manifest = model.runtime.manifest
        began_s = time.perf_counter()
        sample, warnings = await asyncio.to_thread(_read_sample, plan, files, manifest, parsed)
        decode_s = time.perf_counter() - began_s
        segmented = await Pipeline(engine.segmenter).segment(model, [sample], options)
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


class ImageFiles(NamedTuple):
    """Contents of the files of an image.

    Attributes:
        image: image file.
        mask: mask file; None for none.
        nodata: value of missing pixels; None for the file's.
        sidecar: path of the mask if GDAL keeps it beside the image, for messages; None if not.
    """

    image: bytes
    mask: bytes | None
    nodata: NoData | None
    sidecar: Path | None


def read_files(plan: ImagePlan, nodata: NoData | None) -> ImageFiles:
    """Read the files of an image.

    Args:
        plan: their paths.
        nodata: value of missing pixels, in place of the file's; None for this.

    Raises:
        OSError: if a file cannot be read.
    """
    mask = plan.mask
    if plan.takes_sidecar:
        mask, nodata = choose_mask(plan.image, mask, nodata)
    return ImageFiles(
        plan.image.read_bytes(),
        None if mask is None else mask.read_bytes(),
        nodata,
        None if mask is plan.mask else mask,
    )


def _read_sample(
    plan: ImagePlan, files: ImageFiles | None, manifest: Manifest, parsed: Parameters
) -> tuple[Sample, tuple[AnswerWarning, ...]]:
    from service.wire.native.request import make_request  # noqa: PLC0415

    if files is None:
        if is_large(plan.image):
            _check_memory(map_file(plan.image), parsed.bands)
        files = read_files(plan, parsed.nodata)
    elif len(files.image) >= LARGE_BYTES:
        _check_memory(files.image, parsed.bands)
    request = make_request(files.image, files.mask, replace(parsed, nodata=files.nodata))
    try:
        (sample,) = samples = request.read_samples(manifest, UNLIMITED)
    except RequestError as error:
        raise name_sidecar(error, files.sidecar) from None
    return sample, find_warnings(samples, manifest.image.familiar_range)


def _check_memory(content: Buffer, bands: BandSelection) -> None:
    """Refuse an image by its header if memory does not suffice to decode it.

    Raises:
        RequestError: if the header is damaged.
        OutOfMemoryError: if memory does not suffice.
    """
    needed_bytes = ImageFile(content).estimate_bytes(UNLIMITED, bands)
    free_bytes = measure_free_bytes()
    if needed_bytes > free_bytes:
        raise OutOfMemoryError(
            f"memory must hold the whole image, unless the output is a .tif; decoding takes "
            f"{needed_bytes / 1e9:.1f} GB, and {free_bytes / 1e9:.1f} GB are free"
        )
