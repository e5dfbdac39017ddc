"""Dialect of the service's own protocol: one image per request."""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.outputs import MEDIA_TYPES, check_planes, find_by_media_type
from lacuna.raster.limits import ImageLimits
from service.wire.accept import choose_media_type
from service.wire.dialect import MAX_INLINE_NUMBERS, Answer, Body, Reply, RequestHead
from service.wire.native.answer import render
from service.wire.native.request import (
    SegmentRequest,
    estimate_request_bytes,
    is_json,
    parse_request,
)

_MAX_INLINE_JSON_BYTES = 256 * 1024
"""Largest body of JSON that is parsed on the event loop. For larger ones, a thread is faster."""

_MAX_INLINE_BYTES = 2 * 1024 * 1024
"""The same for forms, which are only searched for their boundaries, and image files."""


@dataclass(frozen=True)
class NativeDialect:
    """Dialect of `POST /v1/segment`.

    Attributes:
        limits: limits of an image.
        name: name of the protocol.
    """

    limits: ImageLimits
    name: str = "native"

    def parses_inline(self, head: RequestHead, body_bytes: int) -> bool:
        """Return True if parsing on the event loop is faster than in a thread."""
        if body_bytes <= _MAX_INLINE_JSON_BYTES:
            return True
        return body_bytes <= _MAX_INLINE_BYTES and not is_json(head.headers.get("content-type"))

    def estimate_parse_bytes(self, head: RequestHead, body: Body) -> int:
        """Estimate the memory that parsing takes besides the body, in bytes."""
        return estimate_request_bytes(head.headers.get("content-type"), body)

    def parse(self, head: RequestHead, body: Body) -> SegmentRequest:
        """Parse a request; see `parse_request`.

        Raises:
            NotAcceptableError: if the client accepts none of `MEDIA_TYPES`.
            RequestError: if the request is malformed.
        """
        media_type = choose_media_type(head.headers.get("accept"), MEDIA_TYPES)
        content_type = head.headers.get("content-type")
        request = parse_request(content_type, head.query, body, self.limits)
        request.output = find_by_media_type(media_type)
        check_planes(request.output, request.parameters.also)
        return request

    def renders_inline(self, request: SegmentRequest, numbers: int) -> bool:
        """Return True if rendering the numbers on the event loop is faster than in a thread."""
        return request.output.writes_inline and numbers <= MAX_INLINE_NUMBERS

    def render(self, request: SegmentRequest, answer: Answer) -> Reply:
        """Render an answer in the media type that the client chose."""
        content = render(answer, request.output)
        headers = {"Content-Type": request.output.media_type, "Vary": "Accept, Accept-Encoding"}
        return Reply(headers, content, request.output.is_compressible)
