"""Parsing of forms with files (RFC 7578), in memory.

The parts of a form are not copied, because an image of 8192 × 8192 pixels would then be in memory
three times. This module splits the form at its boundaries. A library parses the heads of the parts.

Text before the first boundary and after the last, and blanks behind a boundary, are ignored (RFC
2046, section 5.1.1). Lines end with CRLF. A boundary between bare LF may be bytes of an image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from multipart import parse_content_disposition, parse_options_header

from lacuna.errors import MalformedRequestError

MAX_HEAD_BYTES = 8 * 1024
"""Maximum size of the head of a part. A name, a file name and a type take some hundred bytes."""

MAX_FIELDS = 64
"""Maximum number of fields of a form. The API has seven."""

_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")

_BLANKS = re.compile(rb"[ \t]*")
_FOLD = re.compile(rb"\r\n[ \t]+")


class FormPart(NamedTuple):
    """Field of a form.

    Attributes:
        data: content of the field, a view of the body.
        media_type: declared media type; None if there is none.
        filename: name of the file; None if there is none.
    """

    data: memoryview
    media_type: str | None = None
    filename: str | None = None

    @property
    def is_left_empty(self) -> bool:
        """True for a file field in which the user of a browser chose no file."""
        return self.filename == "" and not len(self.data)


def parse_form(body: bytes | bytearray, content_type: str) -> Mapping[str, FormPart]:
    """Parse a multipart/form-data body without copying its content.

    Args:
        body: whole body.
        content_type: value of the header, with the boundary.

    Returns:
        Fields by name.

    Raises:
        MalformedRequestError: if the form is damaged or truncated, has a field twice, or has too
            many fields.
    """
    boundary = parse_options_header(content_type)[1].get("boundary")
    if not boundary:
        raise MalformedRequestError("Content-Type must name the form's boundary; it names none")
    parts: dict[str, FormPart] = {}
    for head, data in _cut(body, b"--" + boundary.encode("latin-1")):
        name, media_type, filename = _read_head(head)
        if name in parts:
            raise MalformedRequestError(
                f"a form must have each field once; it has {name[:100]} twice"
            )
        if len(parts) == MAX_FIELDS:
            raise MalformedRequestError(
                f"a form must have at most {MAX_FIELDS} fields; it has more"
            )
        parts[name] = FormPart(data, media_type, filename)
    return parts


def _cut(body: bytes | bytearray, dashed: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the head and the content of each part."""
    delimiter, view = b"\r\n" + dashed, memoryview(body)
    at = _find_first(body, dashed)
    while (mark := bytes(view[at : at + 2])) != b"--":
        if mark != b"\r\n":
            at = _skip_blanks(body, at)
        start = at + 2
        middle = body.find(b"\r\n\r\n", at, start + MAX_HEAD_BYTES)
        if middle < 0:
            if len(body) < start + MAX_HEAD_BYTES:
                raise _truncated()
            raise _malformed(f"the head of a field has more than {MAX_HEAD_BYTES} bytes")
        end = body.find(delimiter, middle + 4)
        if end < 0:
            raise _truncated()
        yield bytes(view[start:middle]), view[middle + 4 : end]
        at = end + len(delimiter)


def _find_first(body: bytes | bytearray, dashed: bytes) -> int:
    """Return the end of the first boundary."""
    if body.startswith(dashed):
        return len(dashed)
    at = body.find(b"\r\n" + dashed)
    if at >= 0:
        return at + 2 + len(dashed)
    if dashed.startswith(body) or (b"\r\n" + dashed).startswith(body):
        raise _truncated()
    raise _malformed("it does not hold its boundary")


def _skip_blanks(body: bytes | bytearray, at: int) -> int:
    """Return the end of a boundary's line, where more than its end follows the boundary."""
    blanks = _BLANKS.match(body, at)
    end = blanks.end() if blanks else at
    mark = body[end : end + 2]
    if mark == b"\r\n":
        return end
    if len(mark) < 2:
        raise _truncated()
    if mark.startswith(b"\n"):
        raise _malformed("text follows a boundary: its line ends with LF, not CRLF")
    raise _malformed("text follows a boundary")


@lru_cache(maxsize=256)  # a client's parts mostly have the same few heads
def _read_head(head: bytes) -> tuple[str, str | None, str | None]:
    """Return the name, the media type and the file name of a field; None for those missing."""
    headers: dict[str, str] = {}
    for line in _FOLD.sub(b" ", head).split(b"\r\n"):
        key, _, value = line.decode("utf-8", "replace").partition(":")
        headers[key.strip().lower()] = value.strip()
    encoding = headers.get("content-transfer-encoding", "").lower()
    if encoding not in _PLAIN_ENCODINGS:
        raise MalformedRequestError(
            "a field of a form must have no Content-Transfer-Encoding but 7bit, 8bit or binary; "
            f"it has {encoding:.40}"
        )
    _, name, filename = parse_content_disposition(headers.get("content-disposition", ""))
    if name is None:
        raise _malformed("a field has no name")
    return name, headers.get("content-type"), filename


def _malformed(reason: str) -> MalformedRequestError:
    return MalformedRequestError(f"the form must be multipart/form-data (RFC 7578); {reason}")


def _truncated() -> MalformedRequestError:
    return MalformedRequestError("a form must end with its boundary; it is truncated")
