"""Dialect of the Open Inference Protocol, version 2."""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.raster.limits import ImageLimits
from service.wire.dialect import MAX_INLINE_NUMBERS, Answer, Body, Reply, RequestHead
from service.wire.oip.answer import render_infer
from service.wire.oip.outputs import OUTPUTS
from service.wire.oip.request import (
    HEADER_LENGTH,
    InferRequest,
    estimate_infer_bytes,
    parse_infer,
    parses_inline,
)

_LENGTH = HEADER_LENGTH.lower()


@dataclass(frozen=True)
class OipDialect:
    """Dialect of `POST …/infer`.

    Attributes:
        limits: limits of the images in a request.
        default_outputs: outputs of a request that names none.
        name: name of the protocol.
    """

    limits: ImageLimits
    default_outputs: tuple[str, ...] = OUTPUTS
    name: str = "oip"

    def parses_inline(self, head: RequestHead, body_bytes: int) -> bool:
        """Return True if parsing on the event loop is faster than in a thread."""
        return parses_inline(head.headers.get(_LENGTH), body_bytes)

    def estimate_parse_bytes(self, head: RequestHead, body: Body) -> int:
        """Estimate the memory that parsing takes besides the body, in bytes."""
        return estimate_infer_bytes(head.headers.get(_LENGTH), body)

    def parse(self, head: RequestHead, body: Body) -> InferRequest:
        """Parse a request; see `parse_infer`."""
        header_length = head.headers.get(_LENGTH)
        return parse_infer(header_length, body, self.limits, self.default_outputs)

    def renders_inline(self, _: InferRequest, numbers: int) -> bool:
        """Return True if rendering the numbers on the event loop is faster than in a thread."""
        return numbers <= MAX_INLINE_NUMBERS

    def render(self, request: InferRequest, answer: Answer) -> Reply:
        """Render an answer; see `render_infer`."""
        return render_infer(
            answer.model, answer.version, request, answer.segmentations, answer.warnings
        )
