"""The way of a request: decode, segment, encode, each timed and none on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from service.engine.repository import Repository, ServedModel
from service.engine.segmenter import Segmenter
from service.errors import DeadlineExceededError
from service.formats.limits import ImageLimits
from service.wire.native.answer import Answer, render, wants_probabilities
from service.wire.native.request import SegmentRequest


@dataclass(frozen=True)
class Answered:
    """What came of a request.

    Attributes:
        content: the answer's bytes.
        model: that gave it.
        size: height and width of the image in pixels.
        valid_pixels: how many of them were valid.
        timings_s: seconds spent in `decode`, `queue`, `infer` and `encode`.
    """

    content: bytes
    model: ServedModel
    size: tuple[int, int]
    valid_pixels: int
    timings_s: Mapping[str, float]


@dataclass(frozen=True)
class Pipeline:
    """Answers requests of the native protocol.

    Attributes:
        repository: of the models.
        segmenter: that runs them.
        image_limits: how large an image is decoded.
    """

    repository: Repository
    segmenter: Segmenter
    image_limits: ImageLimits = field(default_factory=ImageLimits)

    async def answer(self, request: SegmentRequest, media_type: str) -> Answered:
        """Answer a request.

        Args:
            request: from `parse_request`.
            media_type: of the answer, one of the protocol's `MEDIA_TYPES`.

        Raises:
            LacunaError: if the request is at fault, or the model.
        """
        asked = request.parameters
        model = self.repository.find(asked.model, asked.version)
        manifest = model.runtime.manifest
        began = time.perf_counter()
        sample = await asyncio.to_thread(request.read_sample, manifest, self.image_limits)
        valid_pixels = int(sample.mask.sum())
        decode_s = time.perf_counter() - began
        result = await self.segmenter.segment(
            model,
            sample,
            probabilities=wants_probabilities(media_type),
            timeout_s=_subtract(asked.timeout_s, decode_s),
        )
        timings_s = {"decode": decode_s, "queue": result.queue_s, "infer": result.infer_s}
        answer = Answer(model.name, model.version, manifest, result.segmentation, timings_s)
        began = time.perf_counter()
        content = await asyncio.to_thread(render, answer, media_type)
        timings_s = {**timings_s, "encode": time.perf_counter() - began}
        return Answered(content, model, sample.size, valid_pixels, timings_s)


def _subtract(timeout_s: float | None, spent_s: float) -> float | None:
    if timeout_s is None:
        return None
    if spent_s >= timeout_s:
        raise DeadlineExceededError(
            f"the answer must come within timeout_s; {timeout_s:g} s were over while decoding"
        )
    return timeout_s - spent_s
