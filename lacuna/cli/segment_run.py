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

Ask = Callable[[Job], Awaitable[Result]]

_QUICK = 1
"""PNG compression level of overlays."""

_LIGHT_PIXELS = 512 * 512
"""Size up to which writing labels takes less time than a thread would add."""


class UnwritableError(LacunaError):
    """An output cannot be written."""

    code = "unwritable"


# Errors that every other image would meet, too.
_FINAL = (
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
class Done:
    """An image that was segmented and written.

    Attributes:
        job: its job.
        size: height and width in pixels.
        valid_pixels: number of valid pixels.
        areas: of each class, by its name.
        seconds: from the request to the result.
    """

    job: Job
    size: tuple[int, int]
    valid_pixels: int
    areas: Mapping[str, Area]
    seconds: float


@dataclass(frozen=True)
class Failed:
    """An image that was not segmented.

    Attributes:
        job: its job.
        error: the reason.
    """

    job: Job
    error: LacunaError | OSError


async def run_jobs(
    jobs: Sequence[Job], ask: Ask, concurrency: int, tell: Callable[[Done | Failed], None]
) -> None:
    """Segment images and write the results.

    Ends early after an error that every other image would meet, too: the server is unreachable, or
    has no such model.

    Args:
        jobs: images to segment.
        ask: segments an image.
        concurrency: number of images that are segmented at once.
        tell: called for each image that is done or has failed.
    """
    rest = iter(jobs)
    stop = asyncio.Event()

    async def work() -> None:
        for job in rest:
            outcome = await _run_job(job, ask)
            if isinstance(outcome, Failed) and _is_final(outcome.error):
                stop.set()
            tell(outcome)
            if stop.is_set():
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(jobs))):
            group.create_task(work())


async def _run_job(job: Job, ask: Ask) -> Done | Failed:
    began_s = time.monotonic()
    try:
        result = await ask(job)
        seconds = time.monotonic() - began_s
        if job.overlay is None and result.labels.size <= _LIGHT_PIXELS:
            _write(job, result)
        else:
            await asyncio.to_thread(_write, job, result)
    except (LacunaError, OSError) as error:
        return Failed(job, error)
    height, width = result.labels.shape
    return Done(job, (height, width), result.valid_pixels, result.areas, seconds)


def _write(job: Job, result: Result) -> None:
    # The labels are written last: an image without them is not done.
    if job.overlay is not None:
        buffer = io.BytesIO()
        result.overlay().save(buffer, "PNG", compress_level=_QUICK)
        _put(job.overlay, lambda path: write_atomically(path, buffer.getvalue()))
    _put(job.output, result.save)


def _put(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except OSError as error:
        raise UnwritableError(f"{path} cannot be written: {error.strerror}") from error


def _is_final(error: Exception) -> bool:
    return isinstance(error, _FINAL) and not isinstance(error, InferenceError)
