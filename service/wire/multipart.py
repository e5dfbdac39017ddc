"""Forms with files, read from memory into memory (RFC 7578).

What is in a form is not copied: an image of 8192 × 8192 pixels would be there three times. So the
form is cut here, at its boundaries; what the heads of its parts say is left to a library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from multipart import parse_content_disposition, parse_options_header

from lacuna.errors import MalformedRequestError

MAX_HEAD_BYTES = 8 * 1024
"""Of one part; a name, a file name and a type take some hundred."""

_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True)
class FormPart:
    """One field of a form.

    Attributes:
        data: its bytes, a view of the body.
        media_type: what it was declared as, if it was.
    """

    data: memoryview
    media_type: str | None


def parse_form(body: bytes | bytearray, content_type: str) -> Mapping[str, FormPart]:
    """Read a multipart/form-data body, without copying what is in it.

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
    for head, data in _cut(body, b"--" + boundary.encode("latin-1")):
        name, media_type = _read_head(head)
        if name in parts:
            raise MalformedRequestError(f"a form must have each field once; {name} is there twice")
        parts[name] = FormPart(data, media_type)
    return parts


def _cut(body: bytes | bytearray, dashed: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Give the head and the content of each part."""
    delimiter, view = b"\r\n" + dashed, memoryview(body)
    if not body.startswith(dashed):
        if dashed.startswith(body):
            raise _cut_short()
        raise _unreadable("it does not begin with its boundary")
    at = len(dashed)
    while (mark := bytes(view[at : at + 2])) != b"--":
        if mark != b"\r\n":
            raise _cut_short() if len(mark) < 2 else _unreadable("a boundary's line goes on")
        start = at + 2
        middle = body.find(b"\r\n\r\n", at, start + MAX_HEAD_BYTES)
        if middle < 0:
            if len(body) < start + MAX_HEAD_BYTES:
                raise _cut_short()
            raise _unreadable(f"the head of a field has more than {MAX_HEAD_BYTES} bytes")
        end = body.find(delimiter, middle + 4)
        if end < 0:
            raise _cut_short()
        yield bytes(view[start:middle]), view[middle + 4 : end]
        at = end + len(delimiter)


@lru_cache(maxsize=256)  # a client's parts mostly have the same few heads
def _read_head(head: bytes) -> tuple[str, str | None]:
    """Give a field's name, and its type if it has one."""
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        key, _, value = line.decode("utf-8", "replace").partition(":")
        headers[key.strip().lower()] = value.strip()
    encoding = headers.get("content-transfer-encoding", "").lower()
    if encoding not in _PLAIN_ENCODINGS:
        raise MalformedRequestError(
            "a form's field must be sent as it is, without Content-Transfer-Encoding; "
            f"it is {encoding:.40}"
        )
    _, name, _ = parse_content_disposition(headers.get("content-disposition", ""))
    if name is None:
        raise _unreadable("a field has no name")
    return name, headers.get("content-type")


def _unreadable(reason: str) -> MalformedRequestError:
    return MalformedRequestError(f"the form cannot be read: {reason}")


def _cut_short() -> MalformedRequestError:
    return MalformedRequestError("a form must end with its boundary; it is cut short")
