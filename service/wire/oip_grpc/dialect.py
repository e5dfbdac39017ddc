"""Dialect of the Open Inference Protocol over gRPC."""

from __future__ import annotations

from dataclasses import dataclass

from service.wire.dialect import MAX_INLINE_NUMBERS, Answer, Body, Reply, RequestHead
from service.wire.oip.outputs import OUTPUTS
from service.wire.oip.request import InferRequest
from service.wire.oip_grpc.answer import render_infer
from service.wire.oip_grpc.request import estimate_infer_bytes, parse_infer, parses_inline


@dataclass(frozen=True)
class OipGrpcDialect:
    """Dialect of `ModelInfer`.

    Attributes:
        default_outputs: outputs of a request that names none.
        name: name of the protocol.
    """

    default_outputs: tuple[str, ...] = OUTPUTS
    name: str = "oip-grpc"

    def parses_inline(self, _: RequestHead, body_bytes: int) -> bool:
        """Return True if parsing on the event loop is faster than in a thread."""
        return parses_inline(body_bytes)

    def estimate_parse_bytes(self, _: RequestHead, body: Body) -> int:
        """Estimate the memory that parsing takes besides the body, in bytes."""
        return estimate_infer_bytes(bytes(body))

    def parse(self, head: RequestHead, body: Body) -> InferRequest:
        """Parse a request; see `parse_infer`."""
        return parse_infer(bytes(body), head.timeout_s, self.default_outputs)

    def renders_inline(self, _: InferRequest, numbers: int) -> bool:
        """Return True if rendering the numbers on the event loop is faster than in a thread."""
        return numbers <= MAX_INLINE_NUMBERS

    def render(self, request: InferRequest, answer: Answer) -> Reply:
        """Render an answer; see `render_infer`."""
        # gRPC compresses messages by itself.
        return Reply({}, render_infer(request, answer), is_compressible=False)
