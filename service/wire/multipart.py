"""Forms with files, read from memory into memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from multipart import (
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from service.errors import MalformedRequestError

_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True)
class FormPart:
    """One field of a form.

    Attributes:
        data: its bytes.
        media_type: what it was declared as, if it was.
    """

    data: memoryview
    media_type: str | None


def parse_form(body: bytes | bytearray, content_type: str) -> Mapping[str, FormPart]:
    """Read a multipart/form-data body.

    Args:
        body: the whole of it.
        content_type: the header, with the boundary.

    Returns:
        Each field by its name.

    Raises:
        MalformedRequestError: if the form is damaged or cut short, or has a field twice.
    """
    boundary = parse_options_header(content_type)[1].get("boundary")
    if not boundary:
        raise MalformedRequestError("Content-Type must name the form's boundary; it does not")
    parts: dict[str, FormPart] = {}
    for segment, pieces in _read_segments(body, boundary):
        name = segment.name
        if name in parts:
            raise MalformedRequestError(f"a form must have each field once; {name} is there twice")
        encoding = segment.header("Content-Transfer-Encoding", "").strip().lower()
        if encoding not in _PLAIN_ENCODINGS:
            raise MalformedRequestError(
                "a form's field must be sent as it is, without Content-Transfer-Encoding; "
                f"it is {encoding:.40}"
            )
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        parts[name] = FormPart(memoryview(data), segment.content_type)
    return parts


def _read_segments(
    body: bytes | bytearray, boundary: str
) -> Iterator[tuple[MultipartSegment, list[bytes]]]:
    try:
        parser = PushMultipartParser(boundary, strict=True)
        segment: MultipartSegment | None = None
        pieces: list[bytes] = []
        for event in parser.parse(body) if body else ():
            if isinstance(event, MultipartSegment):
                segment, pieces = event, []
            elif event is not None:
                pieces.append(event)
            else:
                yield segment, pieces
    except MultipartError as error:
        raise MalformedRequestError(f"the form cannot be read: {error}") from error
    try:
        parser.close()
    except MultipartError as error:
        raise MalformedRequestError("a form must end with its boundary; it is cut short") from error
