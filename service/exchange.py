"""Exchange: how every request for segmentations is handled, whatever its protocol and listener.

    `Intake` → parsing by the dialect → lease of the model → admission by predicted work and memory
    → decoding → `Pipeline` → rendering by the dialect → compression

Reading and writing run on threads beside the event loop. Only small work runs on the event loop,
where it takes less time than the switch to a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lacuna.appearance.answers import find_warnings
from lacuna.errors import DeadlineExceededError
from lacuna.out_of_memory import check_address_space
from lacuna.planes import needs_probabilities
from lacuna.raster.limits import ImageLimits
from lacuna.sample import Sample
from service.core.statistics import StatisticsRegistry
from service.engine.allocator import return_free_memory
from service.engine.lifecycle.repository import ModelRepository
from service.engine.progress import ProgressBoard
from service.engine.reservation import Reservation
from service.engine.served import ServedModel
from service.intake import IncomingRequest, Intake
from service.pipeline import Pipeline, Segmented, SegmentOptions
from service.request_record import RequestRecord
from service.telemetry import Telemetry
from service.wire.batch import estimate_sample_bytes
from service.wire.coding import compress_for
from service.wire.dialect import (
    Answer,
    Body,
    Dialect,
    ModelTarget,
    ParsedRequest,
    Reply,
    RequestHead,
    SegmentationRequest,
)
from service.wire.outputs import complete

Value = TypeVar("Value")

LARGE_ANSWER_BYTES = 1 << 18
"""Smallest answer whose memory is held until it was sent: its client may read slowly. The rest is
bounded by the number of connections."""


@dataclass(frozen=True)
class Exchange:
    """Exchange that answers requests.

    Attributes:
        pipeline: Pipeline that segments samples.
        repository: Repository of the models.
        intake: Intake, which admits requests and reads their bodies.
        telemetry: Metrics and traces.
        image_limits: Limits on the images that are decoded.
        model_pixels: Largest height × width of an image, for models with a limit of their own.
        statistics: Statistics of the answered requests.
        progress: Board of the requests that their clients can watch.
        return_free: Function that gives free memory back to the system.
        huge_bytes: Smallest images of a request, decoded and with their masks, before which that is
            done. The default is an image of 5,800² in colours of 8 bits, or of 3,200² of 32 bits.
    """

    pipeline: Pipeline
    repository: ModelRepository
    intake: Intake
    telemetry: Telemetry
    image_limits: ImageLimits
    model_pixels: Mapping[str, int]
    statistics: StatisticsRegistry = field(default_factory=StatisticsRegistry)
    progress: ProgressBoard = field(default_factory=ProgressBoard)
    return_free: Callable[[], object] = return_free_memory
    huge_bytes: int = 1 << 27

    def find_limits(self, model: str) -> ImageLimits:
        """Return the limits on an image for a model."""
        return self.image_limits.narrow(model, self.model_pixels.get(model))

    async def answer(self, request: IncomingRequest, dialect: Dialect[ParsedRequest]) -> Reply:
        """Answer a request.

        Args:
            request: Request, before its body is read.
            dialect: Dialect of its protocol.

        Raises:
            LacunaError: if the load is too high, the request is not valid, or the model fails. A
                failure of one image is a failure of the request.
            ClientDisconnectedError: if the client has disconnected.
        """
        with self.telemetry.measure(dialect.name) as record:
            given_id = request.head.given_id
            if given_id is not None:
                record.progress = self.progress.begin(request.client, given_id)
            try:
                reply = await self.intake.admit(
                    request,
                    lambda body, reservation: self._answer(
                        request.head, dialect, body, record, reservation
                    ),
                )
            except Exception:
                self._count_failure(record)
                raise
            finally:
                if record.progress is not None:
                    self.progress.end(record.progress)
            self._count_success(record)
        request.add_log_fields(**record.describe_for_log())
        return reply._replace(headers={**reply.headers, **record.describe_for_client()})

    async def _answer(
        self,
        head: RequestHead,
        dialect: Dialect[ParsedRequest],
        body: Body,
        record: RequestRecord,
        reservation: Reservation,
    ) -> Reply:
        # A model that the path names is looked up before the body is parsed.
        parsed = (
            None if head.target else await self._parse(head, dialect, body, record, reservation)
        )
        target = head.target or (parsed and parsed.target) or ModelTarget(None)
        with self.repository.lease(*target) as model:
            record.model, record.version = model.name, model.version
            if parsed is None:
                parsed = await self._parse(head, dialect, body, record, reservation)
            samples = await self._decode(model, parsed, record, reservation)
            await self._make_room(samples, reservation)
            segmented = await self._segment(model, parsed, samples, record, reservation)
            reply = await self._render(
                model, parsed, samples, segmented, head, dialect, record, reservation
            )
        if len(reply.content) >= LARGE_ANSWER_BYTES:
            return reply._replace(release=reservation.keep(len(reply.content)))
        return reply

    async def _parse(
        self,
        head: RequestHead,
        dialect: Dialect[ParsedRequest],
        body: Body,
        record: RequestRecord,
        reservation: Reservation,
    ) -> ParsedRequest:
        record.begin_stage("decode")
        inline = dialect.parses_inline(head, len(body))
        await reservation.hold_for_parsing(
            await self._run(reservation, lambda: dialect.estimate_parse_bytes(head, body), inline)
        )
        return await self._run(reservation, lambda: dialect.parse(head, body), inline)

    async def _decode(
        self,
        model: ServedModel,
        parsed: SegmentationRequest,
        record: RequestRecord,
        reservation: Reservation,
    ) -> list[Sample]:
        """Decode the images, and wait for memory and threads no longer than the timeout allows."""
        decoding = self._read_samples(model, parsed, record, reservation)
        if parsed.timeout_s is None:
            return await decoding
        spent_s = time.perf_counter() - record.starts_s["decode"]
        try:
            async with asyncio.timeout(parsed.timeout_s - spent_s):
                return await decoding
        except TimeoutError:
            raise DeadlineExceededError(
                "the answer must arrive within timeout_s; "
                f"{parsed.timeout_s:g} s were over before the end of decoding"
            ) from None

    async def _read_samples(
        self,
        model: ServedModel,
        parsed: SegmentationRequest,
        record: RequestRecord,
        reservation: Reservation,
    ) -> list[Sample]:
        limits, manifest = self.find_limits(model.name), model.runtime.manifest
        footprint = await self._run(
            reservation, lambda: parsed.measure(limits), parsed.measures_inline
        )
        reservation.announce(model.predict_call_s(footprint.pixels), parsed.timeout_s)
        answer_bytes = _estimate_answer_bytes(model, parsed, footprint.pixels)
        sample_bytes = estimate_sample_bytes(manifest.image, footprint.pixels, parsed.stretch)
        # The answer is rendered long after decoding, when only the samples are left of that.
        await reservation.hold_for_images(sample_bytes + max(footprint.decode_bytes, answer_bytes))

        def decode() -> list[Sample]:
            samples = parsed.read_samples(manifest, limits)
            for sample in samples:
                sample.valid_pixels  # noqa: B018 (counted here, not on the event loop)
            record.warnings = find_warnings(samples, manifest.image.familiar_range)
            return samples

        samples = await self._run(
            reservation, decode, parsed.decodes_inline, sample_bytes + footprint.decode_bytes
        )
        sample_bytes = _count_bytes(samples)
        reservation.shrink(reservation.parse_bytes + sample_bytes + answer_bytes)
        record.end_stage("decode")
        return samples

    async def _make_room(self, samples: Sequence[Sample], reservation: Reservation) -> None:
        """Return free memory to the system before huge images are computed.

        The allocator keeps freed memory for arrays of the same size. What small requests have left,
        and the pieces of a huge body, would only lie beside what calls take.
        """
        if _count_bytes(samples) >= self.huge_bytes:
            await self._run(reservation, self.return_free, inline=False)

    async def _segment(
        self,
        model: ServedModel,
        parsed: SegmentationRequest,
        samples: list[Sample],
        record: RequestRecord,
        reservation: Reservation,
    ) -> Segmented:
        timeout_s = _subtract(parsed.timeout_s, record.stages_s["decode"])
        options = SegmentOptions(
            needs_probabilities(parsed.planes),
            timeout_s,
            parsed.priority,
            reservation.client,
            record.progress,
        )
        segmented = await self.pipeline.segment(model, samples, options, reservation.withdraw)
        record.add_stages("decode", {"queue": segmented.queue_s, "infer": segmented.infer_s})
        record.images, record.pixels = len(samples), segmented.pixels
        record.size = samples[0].size if len(samples) == 1 else None
        return segmented

    async def _render(
        self,
        model: ServedModel,
        parsed: ParsedRequest,
        samples: list[Sample],
        segmented: Segmented,
        head: RequestHead,
        dialect: Dialect[ParsedRequest],
        record: RequestRecord,
        reservation: Reservation,
    ) -> Reply:
        manifest = model.runtime.manifest
        timings_s = dict(record.stages_s)

        def render() -> Reply:
            segmentations = [
                complete(segmentation, sample, parsed.planes, manifest.receptive_radius)
                for segmentation, sample in zip(segmented.segmentations, samples, strict=True)
            ]
            answer = Answer(
                model.name, model.version, manifest, segmentations, timings_s, record.warnings
            )
            reply = dialect.render(parsed, answer)
            if not reply.is_compressible:
                return reply
            coding, content = compress_for(head.headers.get("accept-encoding"), reply.content)
            return reply._replace(headers={**reply.headers, **coding}, content=content)

        numbers = segmented.pixels.image
        if parsed.planes:
            numbers *= len(manifest.classes)
        record.begin_stage("encode")
        reply = await self._run(reservation, render, dialect.renders_inline(parsed, numbers))
        record.end_stage("encode")
        return reply

    async def _run(
        self,
        reservation: Reservation,
        work: Callable[[], Value],
        inline: bool,
        needed_bytes: int = 0,
    ) -> Value:
        def run() -> Value:
            check_address_space(needed_bytes)
            return work()

        return run() if inline else await self.intake.threads.run(reservation.client, run)

    def _count_success(self, record: RequestRecord) -> None:
        now_s = time.perf_counter()
        self.statistics.find(record.model, record.version).count_success(
            time.time(), now_s - record.starts_s["decode"], record.stages_s
        )

    def _count_failure(self, record: RequestRecord) -> None:
        """Count a request that failed after its model had been found."""
        if record.model:
            began_s = record.starts_s.get("decode", record.began_s)
            failed = self.statistics.find(record.model, record.version).fail
            failed.add(time.perf_counter() - began_s)


def _estimate_answer_bytes(model: ServedModel, parsed: SegmentationRequest, pixels: int) -> int:
    return parsed.estimate_answer_bytes(pixels, len(model.runtime.manifest.classes))


def _count_bytes(samples: Sequence[Sample]) -> int:
    return sum([sample.image.nbytes + sample.mask.nbytes for sample in samples])


def _subtract(timeout_s: float | None, spent_s: float) -> float | None:
    if timeout_s is None:
        return None
    if spent_s >= timeout_s:
        raise DeadlineExceededError(
            f"the answer must arrive within timeout_s; {timeout_s:g} s were over after decoding"
        )
    return timeout_s - spent_s
