"""The Open Inference Protocol, version 2, as a dialect."""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.raster.limits import ImageLimits
from service.wire.dialect import LIGHT_NUMBERS, Answer, Body, Reply, RequestHead
from service.wire.oip.answer import render_infer
from service.wire.oip.request import HEADER_LENGTH, InferRequest, parse_infer, parses_at_once


@dataclass(frozen=True)
class OipDialect:
    """Reads and answers `POST …/infer`.

    Attributes:
        limits: of the images in a request.
        name: of the protocol.
    """

    limits: ImageLimits
    name: str = "oip"

    def parses_at_once(self, head: RequestHead, body_bytes: int) -> bool:
        """Tell whether parsing takes less time than handing it to a thread and back."""
        return parses_at_once(head.headers.get(HEADER_LENGTH), body_bytes)

    def parse(self, head: RequestHead, body: Body) -> InferRequest:
        """Read a request; see `parse_infer`."""
        return parse_infer(head.headers.get(HEADER_LENGTH), body, self.limits)

    def renders_at_once(self, _: InferRequest, numbers: int) -> bool:
        """Tell whether rendering so many numbers takes less time than a thread costs."""
        return numbers <= LIGHT_NUMBERS

    def render(self, asked: InferRequest, answer: Answer) -> Reply:
        """Write an answer; see `render_infer`."""
        return render_infer(answer.model, answer.version, asked, answer.segmentations)
