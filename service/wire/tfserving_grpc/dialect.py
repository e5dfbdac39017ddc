"""Dialect of TensorFlow Serving over gRPC."""

from __future__ import annotations

from dataclasses import dataclass

from service.wire.dialect import MAX_INLINE_NUMBERS, Answer, Body, Reply, RequestHead
from service.wire.tfserving.request import PredictRequest
from service.wire.tfserving_grpc.answer import render_predict
from service.wire.tfserving_grpc.request import (
    estimate_predict_bytes,
    parse_predict,
    parses_inline,
)


@dataclass(frozen=True)
class TfServingGrpcDialect:
    """Dialect of `Predict`.

    Attributes:
        name: name of the protocol.
    """

    name: str = "tfserving-grpc"

    def parses_inline(self, _: RequestHead, body_bytes: int) -> bool:
        """Return True if parsing on the event loop is faster than in a thread."""
        return parses_inline(body_bytes)

    def estimate_parse_bytes(self, _: RequestHead, body: Body) -> int:
        """Estimate the memory that parsing takes besides the body, in bytes."""
        return estimate_predict_bytes(bytes(body))

    def parse(self, head: RequestHead, body: Body) -> PredictRequest:
        """Parse a request; see `parse_predict`."""
        return parse_predict(bytes(body), head.timeout_s)

    def renders_inline(self, _: PredictRequest, numbers: int) -> bool:
        """Return True if rendering the numbers on the event loop is faster than in a thread."""
        return numbers <= MAX_INLINE_NUMBERS

    def render(self, request: PredictRequest, answer: Answer) -> Reply:
        """Render an answer; see `render_predict`."""
        # gRPC compresses messages by itself.
        return Reply({}, render_predict(request, answer), is_compressible=False)
