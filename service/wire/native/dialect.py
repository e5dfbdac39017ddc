"""The service's own protocol as a dialect: a batch of one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lacuna.raster.limits import ImageLimits
from service.wire.accept import choose_media_type
from service.wire.dialect import LIGHT_NUMBERS, Answer, Body, Reply, RequestHead
from service.wire.native.answer import MEDIA_TYPES, NPY, render
from service.wire.native.request import SegmentRequest, parse_request

_LIGHT_BYTES = 256 * 1024
"""Up to here reading a form takes less time than handing it to a thread and back."""


@dataclass(frozen=True)
class NativeDialect:
    """Reads and answers `POST /v1/segment`.

    Attributes:
        limits: of the image in a request.
        name: of the protocol.
    """

    limits: ImageLimits
    name: str = "native"

    def parses_at_once(self, _: RequestHead, body_bytes: int) -> bool:
        """Tell whether parsing takes less time than handing it to a thread and back."""
        return body_bytes <= _LIGHT_BYTES

    def parse(self, head: RequestHead, body: Body) -> SegmentRequest:
        """Read a request; see `parse_request`.

        Raises:
            NotAcceptableError: if the caller accepts no type of answer that there is.
            RequestError: if it cannot be understood.
        """
        media_type = choose_media_type(head.headers.get("accept"), MEDIA_TYPES)
        content_type = head.headers.get("content-type")
        asked = parse_request(content_type, head.query, body, self.limits)
        return replace(asked, media_type=media_type)

    def renders_at_once(self, asked: SegmentRequest, numbers: int) -> bool:
        """Tell whether rendering so many numbers takes less time than a thread costs."""
        return asked.media_type == NPY and numbers <= LIGHT_NUMBERS

    def render(self, asked: SegmentRequest, answer: Answer) -> Reply:
        """Write an answer in the type that the caller chose.

        It is sent as it is: a PNG is compressed, and compressing an array takes longer than the
        model does.
        """
        content = render(answer, asked.media_type)
        return Reply({"Content-Type": asked.media_type}, content, is_compressible=False)
