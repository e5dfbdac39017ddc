"""Taking in a request for a batch of images, and answering it, in any protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from lacuna.sample import Segmentation
from service.engine.served import ServedModel
from service.pipeline import BatchAnswered, BatchRequest
from service.web.access import name_client
from service.web.body import read_body, read_declared_length
from service.web.disconnects import cancel_on_disconnect
from service.web.request_log import note
from service.web.services import AppServices
from service.wire.coding import compress_for, decompress, read_coding

Asked = TypeVar("Asked", bound=BatchRequest)

Body = bytes | bytearray
Content = tuple[dict[str, str], bytes]
"""Headers and body of an answer."""


@dataclass(frozen=True)
class Dialect(Generic[Asked]):
    """How a protocol puts things.

    Attributes:
        protocol: its name in the metrics.
        parse: reads a request.
        render: writes the answer that a model gives.
        quick_bytes: up to here a body is read in less time than handing it to a thread and back
            takes.
    """

    protocol: str
    parse: Callable[[Body], Asked]
    render: Callable[[ServedModel, Asked, Sequence[Segmentation]], Content]
    quick_bytes: int


async def answer_batch(
    services: AppServices,
    request: Request,
    dialect: Dialect[Asked],
    name: str,
    version: str | None = None,
    label: str | None = None,
) -> Response:
    """Answer a request for a batch of images.

    Args:
        services: what the application is made of.
        request: whose body was not read yet.
        dialect: of the protocol.
        name: of the model.
        version: of the model; the highest, if neither it nor a label is given.
        label: of the version.

    Raises:
        LacunaError: if there is too much to do, or the request is at fault, or the model.
    """
    with services.telemetry.measure(dialect.protocol) as meter:
        async with receive_body(services, request) as body:
            with services.repository.lease(name, version, label) as model:
                meter.model, meter.version = model.name, model.version
                note(request.scope, model=model.name, version=model.version)
                answered = await _answer(services, request, dialect, model, body)
        meter.stages_s, meter.starts_s = answered.timings_s, answered.starts_s
        meter.images = answered.images
        meter.pixels = {
            "image": answered.pixels,
            "valid": answered.valid_pixels,
            "computed": answered.computed_pixels,
        }
    return _send(request, answered)


@asynccontextmanager
async def receive_body(services: AppServices, request: Request) -> AsyncIterator[Body]:
    """Let a request pass the gate, read its body, and undo its coding.

    What is inside the context is cancelled when the client goes.

    Args:
        services: what the application is made of.
        request: whose body was not read yet.

    Raises:
        OverloadedError: if there is too much to do already.
        NotReadyError: if the server is going away.
        SlowBodyError: if the body does not come in time.
        RequestError: if the body is too large, or cannot be decompressed.
    """
    coding = read_coding(request.headers.get("content-encoding"))
    limits = services.body_limits
    client = name_client(request.scope)
    with services.gate.hold(read_declared_length(request), client=client) as reservation:
        body: Body = await read_body(request, limits, reservation)
        note(request.scope, received_bytes=len(body))
        async with cancel_on_disconnect(request.receive):
            if coding is not None:
                body = await asyncio.to_thread(decompress, body, coding, limits.body_bytes)
                # From here on it is what the body unfolds to that takes memory.
                reservation.grow(len(body))
            yield body


async def _answer(
    services: AppServices, request: Request, dialect: Dialect[Asked], model: ServedModel, body: Body
) -> BatchAnswered[Content]:
    def render(asked: Asked, segmentations: Sequence[Segmentation]) -> Content:
        headers, content = dialect.render(model, asked, segmentations)
        coding, content = compress_for(request.headers.get("accept-encoding"), content)
        return headers | coding, content

    return await services.pipeline.answer_batch(
        model, lambda: dialect.parse(body), render, light=len(body) <= dialect.quick_bytes
    )


def _send(request: Request, answered: BatchAnswered[Content]) -> Response:
    milliseconds = {stage: seconds * 1000 for stage, seconds in answered.timings_s.items()}
    note(
        request.scope,
        images=answered.images,
        valid_pixels=answered.valid_pixels,
        computed_pixels=answered.computed_pixels,
        **{f"{stage}_ms": round(value, 2) for stage, value in milliseconds.items()},
    )
    headers, content = answered.content
    told = {
        "Server-Timing": ", ".join(f"{name};dur={ms:.3f}" for name, ms in milliseconds.items()),
        "Lacuna-Computed-Pixels": str(answered.computed_pixels),
    }
    return Response(content, headers=headers | told)
