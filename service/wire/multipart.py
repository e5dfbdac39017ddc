"""Forms with files, read from memory into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import MalformedRequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_PLAIN_ENCODINGS = (b"", b"7bit", b"8bit", b"binary")


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
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise MalformedRequestError("Content-Type must name the form's boundary; it does not")
    form = _Form(memoryview(body))
    try:
        parser = MultipartParser(boundary, form.callbacks)
        # The parser slices and searches, which a bytearray knows as well as bytes.
        parser.write(body)  # type: ignore[arg-type]
        parser.finalize()
    except FormParserError as error:
        raise MalformedRequestError(f"the form cannot be read: {error}") from error
    if not form.ended:
        raise MalformedRequestError("a form must end with its boundary; it is cut short")
    return form.parts


class _Form:
    """Gathers what the parser comes upon.

    Args:
        body: that is parsed.
    """

    def __init__(self, body: memoryview) -> None:
        self.parts: dict[str, FormPart] = {}
        self.ended = False
        self._body = body
        self._begin()

    @property
    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._read_name,
            "on_header_value": self._read_value,
            "on_part_data": self._read_data,
            "on_part_end": self._add,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._spans: list[tuple[int, int]] = []

    def _read_name(self, data: bytes, start: int, end: int) -> None:
        self._name = bytes(data[start:end]).lower()

    def _read_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[self._name] = bytes(data[start:end]).strip()

    def _read_data(self, _: bytes, start: int, end: int) -> None:
        # Bytes that begin like the boundary come in pieces that lie side by side.
        if self._spans and self._spans[-1][1] == start:
            start = self._spans.pop()[0]
        self._spans.append((start, end))

    def _add(self) -> None:
        encoding = self._headers.get(b"content-transfer-encoding", b"").lower()
        if encoding not in _PLAIN_ENCODINGS:
            raise MalformedRequestError(
                "a form's field must be sent as it is, without Content-Transfer-Encoding; "
                f"it is {encoding.decode('latin-1'):.40}"
            )
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise FormParserError("a part has no name")
        name = options[b"name"].decode("utf-8", "replace")
        if name in self.parts:
            raise MalformedRequestError(f"a form must have each field once; {name} is there twice")
        media_type = self._headers.get(b"content-type")
        self.parts[name] = FormPart(
            self._join(), None if media_type is None else media_type.decode("latin-1")
        )

    def _join(self) -> memoryview:
        if len(self._spans) == 1:
            start, end = self._spans[0]
            return self._body[start:end]
        return memoryview(b"".join(self._body[start:end] for start, end in self._spans))

    def _end(self) -> None:
        self.ended = True
