"""Dialect of TensorFlow Serving's REST API."""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.raster.limits import ImageLimits
from service.wire.dialect import MAX_INLINE_NUMBERS, Answer, Body, Reply, RequestHead
from service.wire.json_object import estimate_parse_bytes
from service.wire.tfserving.answer import render_predict
from service.wire.tfserving.request import PredictRequest, parse_predict, parses_inline

JSON = "application/json"


@dataclass(frozen=True)
class TfServingDialect:
    """Dialect of `POST /v1/models/{name}:predict`.

    Attributes:
        limits: limits of the images in a request.
        name: name of the protocol.
    """

    limits: ImageLimits
    name: str = "tfserving"

    def parses_inline(self, _: RequestHead, body_bytes: int) -> bool:
        """Return True if parsing on the event loop is faster than in a thread."""
        return parses_inline(body_bytes)

    def estimate_parse_bytes(self, _: RequestHead, body: Body) -> int:
        """Estimate the memory that parsing takes besides the body, in bytes."""
        return estimate_parse_bytes(body)

    def parse(self, _: RequestHead, body: Body) -> PredictRequest:
        """Parse a request; see `parse_predict`."""
        return parse_predict(body, self.limits)

    def renders_inline(self, _: PredictRequest, numbers: int) -> bool:
        """Return True if rendering the numbers on the event loop is faster than in a thread."""
        return numbers <= MAX_INLINE_NUMBERS

    def render(self, request: PredictRequest, answer: Answer) -> Reply:
        """Render an answer; see `render_predict`."""
        return Reply({"Content-Type": JSON}, render_predict(request, answer.segmentations))
