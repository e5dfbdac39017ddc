"""Dialect of the one route of a hosting platform."""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.raster.limits import ImageLimits
from service.wire.dialect import Answer, Body, Reply, RequestHead
from service.wire.invocation.request import is_predict, parse_instances, read_attributes
from service.wire.native.dialect import NativeDialect
from service.wire.native.request import SegmentRequest, is_json
from service.wire.tfserving.dialect import TfServingDialect
from service.wire.tfserving.request import PredictRequest, parses_inline

Invocation = SegmentRequest | PredictRequest


@dataclass(frozen=True)
class InvocationDialect:
    """Dialect of a route that takes bodies of `/v1/segment` and of TensorFlow Serving's API.

    An answer has the form of its request's API.

    Attributes:
        limits: limits of the images in a request.
        name: name of the platform, for metrics and traces.
        attributes: header that may carry parameters, in lower case; None for none.
    """

    limits: ImageLimits
    name: str
    attributes: str | None = None

    def parses_inline(self, head: RequestHead, body_bytes: int) -> bool:
        """Return True if parsing on the event loop is faster than in a thread."""
        if _is_json(head):
            return parses_inline(body_bytes)
        return self._native.parses_inline(head, body_bytes)

    def estimate_parse_bytes(self, head: RequestHead, body: Body) -> int:
        """Estimate the memory that parsing takes besides the body, in bytes."""
        return self._native.estimate_parse_bytes(head, body)

    def parse(self, head: RequestHead, body: Body) -> Invocation:
        """Parse a request.

        Raises:
            NotAcceptableError: if the client accepts no type of answer.
            RequestError: if the request is malformed.
        """
        if self.attributes is not None:
            given = read_attributes(head.headers.get(self.attributes))
            head = head._replace(query={**head.query, **given})
        if _is_json(head) and is_predict(body):
            return parse_instances(body, head.query, self.limits)
        return self._native.parse(head, body)

    def renders_inline(self, request: Invocation, numbers: int) -> bool:
        """Return True if rendering the numbers on the event loop is faster than in a thread."""
        if isinstance(request, PredictRequest):
            return self._tfserving.renders_inline(request, numbers)
        return self._native.renders_inline(request, numbers)

    def render(self, request: Invocation, answer: Answer) -> Reply:
        """Render an answer in the form of the request's API."""
        if isinstance(request, PredictRequest):
            return self._tfserving.render(request, answer)
        return self._native.render(request, answer)

    @property
    def _native(self) -> NativeDialect:
        return NativeDialect(self.limits)

    @property
    def _tfserving(self) -> TfServingDialect:
        return TfServingDialect(self.limits)


def _is_json(head: RequestHead) -> bool:
    return is_json(head.headers.get("content-type"))
