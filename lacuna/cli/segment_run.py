"""Segmentation of many images at once; each result is written as soon as it arrives."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lacuna.appearance.comparison import AnswerWarning
from lacuna.cli.segment_plan import ImagePlan
from lacuna.client import Area, Result, UnreachableError
from lacuna.client.saving import write_atomically
from lacuna.errors import (
    ConfigurationError,
    ForbiddenError,
    InferenceError,
    LacunaError,
    ModelError,
    NotReadyError,
    OverloadedError,
    UnauthenticatedError,
    UnknownModelError,
    UnknownVersionError,
)

SegmentImage = Callable[[ImagePlan], Awaitable[Result]]

_OVERLAY_COMPRESSION = 1
"""PNG compression level of overlays."""

_MAX_INLINE_PIXELS = 512 * 512
"""Size up to which writing labels takes less time than a thread would add."""


class UnwritableError(LacunaError):
    """Output that cannot be written."""

    code = "unwritable"


# Errors that every other image would meet, too.
_FATAL_ERRORS = (
    UnreachableError,
    OverloadedError,
    NotReadyError,
    UnauthenticatedError,
    ForbiddenError,
    UnknownModelError,
    UnknownVersionError,
    ConfigurationError,
    ModelError,
    UnwritableError,
)


@dataclass(frozen=True)
class ImageSuccess:
    """Outcome of an image that was segmented and written.

    Attributes:
        plan: files of the image.
        size: height and width in pixels.
        valid_pixels: number of valid pixels.
        areas: area of each class, by its name.
        seconds: time until the result arrived.
        warnings: reasons why the labels may be wrong.
    """

    plan: ImagePlan
    size: tuple[int, int]
    valid_pixels: int
    areas: Mapping[str, Area]
    seconds: float
    warnings: tuple[AnswerWarning, ...] = ()


@dataclass(frozen=True)
class ImageFailure:
    """Outcome of an image that was not segmented.

    Attributes:
        plan: files of the image.
        error: reason of the failure.
    """

    plan: ImagePlan
    error: LacunaError | OSError


async def run_plans(
    plans: Sequence[ImagePlan],
    segment_image: SegmentImage,
    concurrency: int,
    on_outcome: Callable[[ImageSuccess | ImageFailure], None],
) -> None:
    """Segment images and write the results.

    It stops early after an error that every other image would have too, such as an unreachable
    server or an unknown model.

    Args:
        plans: files of the images to segment.
        segment_image: function that segments an image.
        concurrency: number of images that are segmented at once.
        on_outcome: function that is called with the outcome of each image.
    """
    rest = iter(plans)
    stop = asyncio.Event()

    async def work() -> None:
        for plan in rest:
            outcome = await _run_plan(plan, segment_image)
            if isinstance(outcome, ImageFailure) and is_fatal(outcome.error):
                stop.set()
            on_outcome(outcome)
            if stop.is_set():
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(plans))):
            group.create_task(work())


async def _run_plan(plan: ImagePlan, segment_image: SegmentImage) -> ImageSuccess | ImageFailure:
    began_s = time.monotonic()
    try:
        result = await segment_image(plan)
        seconds = time.monotonic() - began_s
        if plan.overlay is None and result.labels.size <= _MAX_INLINE_PIXELS:
            _write(plan, result)
        else:
            await asyncio.to_thread(_write, plan, result)
    except (LacunaError, OSError) as error:
        return ImageFailure(plan, error)
    height, width = result.labels.shape
    return ImageSuccess(
        plan, (height, width), result.valid_pixels, result.areas, seconds, result.warnings
    )


def _write(plan: ImagePlan, result: Result) -> None:
    # The labels are written last: an image without them is not done.
    if plan.overlay is not None:
        buffer = io.BytesIO()
        result.overlay().save(buffer, "PNG", compress_level=_OVERLAY_COMPRESSION)
        _put(plan.overlay, lambda path: write_atomically(path, buffer.getvalue()))
    _put(plan.output, result.save)


def _put(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except OSError as error:
        raise UnwritableError(f"{path} must be writable; {error.strerror}") from error


def is_fatal(error: Exception) -> bool:
    """Return True if every other image would meet an error, too."""
    return isinstance(error, _FATAL_ERRORS) and not isinstance(error, InferenceError)
