"""Segmenting images, several at once, each written as soon as it is answered."""

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
"""The compression of overlays."""

_LIGHT_PIXELS = 512 * 512
"""Up to here writing labels takes less time than handing them to a thread and back."""


class UnwritableError(LacunaError):
    """An output cannot be written."""

    code = "unwritable"


# What would be the same for every other image.
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
        job: what was to be done.
        size: height and width in pixels.
        valid_pixels: how many of them are valid.
        areas: of each class, by its name.
        seconds: that the answer took.
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
        job: what was to be done.
        error: why not.
    """

    job: Job
    error: LacunaError | OSError


async def run_jobs(
    jobs: Sequence[Job], ask: Ask, concurrency: int, tell: Callable[[Done | Failed], None]
) -> None:
    """Segment images and write what comes.

    Ends early if something went wrong that would go wrong with every other image too: the server
    is gone, or has no such model.

    Args:
        jobs: what is to be done.
        ask: segments an image.
        concurrency: how many are asked at once.
        tell: hears of each image that is done or has failed.
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
    # The labels last: while they are not there, the image is not done.
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
