"""Segmentation of many images at once; each result is written as soon as it arrives."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lacuna.cli.segment_plan import Job
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

SegmentJob = Callable[[Job], Awaitable[Result]]

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
class JobSuccess:
    """Outcome of an image that was segmented and written.

    Attributes:
        job: job of the image.
        size: height and width in pixels.
        valid_pixels: number of valid pixels.
        areas: area of each class, by its name.
        seconds: time until the result arrived.
    """

    job: Job
    size: tuple[int, int]
    valid_pixels: int
    areas: Mapping[str, Area]
    seconds: float


@dataclass(frozen=True)
class JobFailure:
    """Outcome of an image that was not segmented.

    Attributes:
        job: job of the image.
        error: reason of the failure.
    """

    job: Job
    error: LacunaError | OSError


async def run_jobs(
    jobs: Sequence[Job],
    segment_job: SegmentJob,
    concurrency: int,
    on_outcome: Callable[[JobSuccess | JobFailure], None],
) -> None:
    """Segment images and write the results.

    It stops early after an error that every other image would have too, such as an unreachable
    server or an unknown model.

    Args:
        jobs: images to segment.
        segment_job: function that segments an image.
        concurrency: number of images that are segmented at once.
        on_outcome: function that is called with the outcome of each image.
    """
    rest = iter(jobs)
    stop = asyncio.Event()

    async def work() -> None:
        for job in rest:
            outcome = await _run_job(job, segment_job)
            if isinstance(outcome, JobFailure) and _is_fatal(outcome.error):
                stop.set()
            on_outcome(outcome)
            if stop.is_set():
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(jobs))):
            group.create_task(work())


async def _run_job(job: Job, segment_job: SegmentJob) -> JobSuccess | JobFailure:
    began_s = time.monotonic()
    try:
        result = await segment_job(job)
        seconds = time.monotonic() - began_s
        if job.overlay is None and result.labels.size <= _MAX_INLINE_PIXELS:
            _write(job, result)
        else:
            await asyncio.to_thread(_write, job, result)
    except (LacunaError, OSError) as error:
        return JobFailure(job, error)
    height, width = result.labels.shape
    return JobSuccess(job, (height, width), result.valid_pixels, result.areas, seconds)


def _write(job: Job, result: Result) -> None:
    # The labels are written last: an image without them is not done.
    if job.overlay is not None:
        buffer = io.BytesIO()
        result.overlay().save(buffer, "PNG", compress_level=_OVERLAY_COMPRESSION)
        _put(job.overlay, lambda path: write_atomically(path, buffer.getvalue()))
    _put(job.output, result.save)


def _put(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except OSError as error:
        raise UnwritableError(f"{path} must be writable; {error.strerror}") from error


def _is_fatal(error: Exception) -> bool:
    return isinstance(error, _FATAL_ERRORS) and not isinstance(error, InferenceError)
