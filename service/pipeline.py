"""The way of a request: decode, segment, encode, each timed.

Decoding and encoding run on threads beside the event loop, but for small plain arrays: there it is
a look at some bytes, which takes less time than handing it to a thread and back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from lacuna.errors import DeadlineExceededError
from lacuna.raster.limits import ImageLimits
from lacuna.sample import Sample, Segmentation
from service.core.statistics import StatisticsBook
from service.engine.jobs import JobResult
from service.engine.lifecycle.repository import ModelRepository
from service.engine.segmenter import Segmenter
from service.engine.served import ServedModel
from service.runtime.manifest import Manifest
from service.wire.native.answer import NPY, Answer, render, wants_probabilities
from service.wire.native.request import SegmentRequest

Value = TypeVar("Value")
Outcome = TypeVar("Outcome", "Answered", "BatchAnswered[Any]")

_LIGHT_PIXELS = 256 * 256


@dataclass(frozen=True)
class Answered:
    """What came of a request.

    Attributes:
        content: the answer's bytes.
        model: that gave it.
        size: height and width of the image in pixels.
        valid_pixels: how many of them were valid.
        computed_pixels: how many the model saw for it, padding and halos included.
        timings_s: seconds spent in `decode`, `queue`, `infer` and `encode`.
        starts_s: when each of them began, by `time.perf_counter`.
    """

    content: bytes
    model: ServedModel
    size: tuple[int, int]
    valid_pixels: int
    computed_pixels: int
    timings_s: Mapping[str, float]
    starts_s: Mapping[str, float]


class BatchRequest(Protocol):
    """A request for one image or several, of whatever protocol."""

    @property
    def wants_probabilities(self) -> bool:
        """Whether they are to be computed."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """How long the caller will wait; None for as long as it takes."""
        ...

    @property
    def priority(self) -> int:
        """Larger goes first."""
        ...

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Decode the images, at least one, and fit them to a model."""
        ...


Batch = TypeVar("Batch", bound=BatchRequest)


@dataclass(frozen=True)
class BatchAnswered(Generic[Value]):
    """What came of a request for one image or several.

    Attributes:
        content: the answer, as it was rendered.
        images: how many there were.
        pixels: of all images together.
        valid_pixels: how many of them were valid.
        computed_pixels: how many the model saw for them, padding and halos included.
        timings_s: seconds spent in `decode`, `queue`, `infer` and `encode`.
        starts_s: when each of them began, by `time.perf_counter`.
    """

    content: Value
    images: int
    pixels: int
    valid_pixels: int
    computed_pixels: int
    timings_s: Mapping[str, float]
    starts_s: Mapping[str, float]


@dataclass(frozen=True)
class Pipeline:
    """Answers requests.

    Attributes:
        repository: of the models.
        segmenter: that runs them.
        image_limits: how large an image is decoded.
        model_pixels: for each model that has a limit of its own, height × width of an image.
        statistics: of what was answered.
    """

    repository: ModelRepository
    segmenter: Segmenter
    image_limits: ImageLimits = field(default_factory=ImageLimits)
    model_pixels: Mapping[str, int] = field(default_factory=dict)
    statistics: StatisticsBook = field(default_factory=StatisticsBook)

    def find_limits(self, model: str) -> ImageLimits:
        """Tell how large an image for a model may be."""
        return self.image_limits.narrow(model, self.model_pixels.get(model))

    async def answer(self, request: SegmentRequest, media_type: str) -> Answered:
        """Answer a request.

        Args:
            request: from `parse_request`.
            media_type: of the answer, one of the protocol's `MEDIA_TYPES`.

        Raises:
            LacunaError: if the request is at fault, or the model.
        """
        asked = request.parameters
        with self.repository.lease(asked.model, asked.version) as model:
            return await self._count(model, self._answer(model, request, media_type))

    async def _answer(
        self, model: ServedModel, request: SegmentRequest, media_type: str
    ) -> Answered:
        asked, manifest = request.parameters, model.runtime.manifest

        def decode() -> tuple[Sample, int]:
            sample = request.read_sample(manifest, self.find_limits(model.name))
            return sample, int(np.count_nonzero(sample.mask))

        began = time.perf_counter()
        sample, valid_pixels = await _run(decode, light=request.light)
        decoded = time.perf_counter()
        decode_s = decoded - began
        result = await self.segmenter.segment(
            model,
            sample,
            probabilities=wants_probabilities(media_type),
            timeout_s=_subtract(asked.timeout_s, decode_s),
        )
        timings_s = {"decode": decode_s, "queue": result.queue_s, "infer": result.infer_s}
        answer = Answer(model.name, model.version, manifest, result.segmentation, timings_s)
        segmented = time.perf_counter()
        content = await _run(
            lambda: render(answer, media_type),
            light=media_type == NPY and sample.mask.size <= _LIGHT_PIXELS,
        )
        timings_s = {**timings_s, "encode": time.perf_counter() - segmented}
        return Answered(
            content,
            model,
            sample.size,
            valid_pixels,
            result.computed_pixels,
            timings_s,
            _list_starts(began, decoded, result.queue_s, segmented),
        )

    async def answer_batch(
        self,
        model: ServedModel,
        parse: Callable[[], Batch],
        render: Callable[[Batch, Sequence[Segmentation]], Value],
        *,
        light: bool,
    ) -> BatchAnswered[Value]:
        """Answer a request for one image or several, each on its own way through the engine.

        Args:
            model: that is to do it.
            parse: reads the request.
            render: writes the answer.
            light: reading and decoding take a look at a few bytes only.

        Raises:
            LacunaError: if the request is at fault, or the model; for all images if for one.
        """
        return await self._count(model, self._answer_batch(model, parse, render, light=light))

    async def _count(self, model: ServedModel, answering: Awaitable[Outcome]) -> Outcome:
        """Await an answer, and count how that ended."""
        statistics = self.statistics.find(model.name, model.version)
        began = time.perf_counter()
        try:
            answered = await answering
        except Exception:
            statistics.fail.add(time.perf_counter() - began)
            raise
        statistics.count_success(time.time(), time.perf_counter() - began, answered.timings_s)
        return answered

    async def _answer_batch(
        self,
        model: ServedModel,
        parse: Callable[[], Batch],
        render: Callable[[Batch, Sequence[Segmentation]], Value],
        *,
        light: bool,
    ) -> BatchAnswered[Value]:
        manifest = model.runtime.manifest

        def decode() -> tuple[Batch, list[Sample], int]:
            request = parse()
            samples = request.read_samples(manifest, self.find_limits(model.name))
            return request, samples, sum(int(np.count_nonzero(one.mask)) for one in samples)

        began = time.perf_counter()
        request, samples, valid_pixels = await _run(decode, light=light)
        decoded = time.perf_counter()
        decode_s = decoded - began
        timeout_s = _subtract(request.timeout_s, decode_s)
        results = await self._segment_all(model, samples, request, timeout_s)
        queue_s = min(result.queue_s for result in results)
        infer_s = max(result.queue_s + result.infer_s for result in results) - queue_s
        pixels = sum(sample.mask.size for sample in samples)
        values = pixels * len(manifest.classes) if request.wants_probabilities else pixels
        segmented = time.perf_counter()
        content = await _run(
            lambda: render(request, [result.segmentation for result in results]),
            light=values <= _LIGHT_PIXELS,
        )
        encode_s = time.perf_counter() - segmented
        return BatchAnswered(
            content,
            len(samples),
            pixels,
            valid_pixels,
            sum(result.computed_pixels for result in results),
            {"decode": decode_s, "queue": queue_s, "infer": infer_s, "encode": encode_s},
            _list_starts(began, decoded, queue_s, segmented),
        )

    async def _segment_all(
        self,
        model: ServedModel,
        samples: Sequence[Sample],
        request: BatchRequest,
        timeout_s: float | None,
    ) -> list[JobResult]:
        """Segment samples at the same time; if one fails, the others are given up."""
        calls = [
            self.segmenter.segment(
                model,
                sample,
                probabilities=request.wants_probabilities,
                timeout_s=timeout_s,
                priority=request.priority,
            )
            for sample in samples
        ]
        if len(calls) == 1:
            return [await calls[0]]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(call) for call in calls]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]


async def _run(work: Callable[[], Value], *, light: bool) -> Value:
    return work() if light else await asyncio.to_thread(work)


def _list_starts(
    began_s: float, decoded_s: float, queue_s: float, segmented_s: float
) -> dict[str, float]:
    return {
        "decode": began_s,
        "queue": decoded_s,
        "infer": decoded_s + queue_s,
        "encode": segmented_s,
    }


def _subtract(timeout_s: float | None, spent_s: float) -> float | None:
    if timeout_s is None:
        return None
    if spent_s >= timeout_s:
        raise DeadlineExceededError(
            f"the answer must come within timeout_s; {timeout_s:g} s were over while decoding"
        )
    return timeout_s - spent_s
