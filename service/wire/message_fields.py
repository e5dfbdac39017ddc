"""Fields of an encoded protobuf message, found without parsing it.

The library copies every tensor of a message twice, and makes an object of 100 bytes of an empty
submessage of 2. So large contents are taken out of a message before the rest is parsed, and the
number of its fields is limited. See "Encoding" in protobuf's documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lacuna.errors import MalformedRequestError

_LENGTH_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}
_MAX_VARINT_BYTES = 10
_ONE_BYTE = 0x7F


class Field(NamedTuple):
    """Place of a field in a message.

    Attributes:
        number: number of the field.
        begin: index of its first byte, which is that of its tag.
        content: index of the first byte of its content.
        end: index after its last byte.
    """

    number: int
    begin: int
    content: int
    end: int


def find_fields(message: bytes, begin: int = 0, end: int | None = None) -> Iterator[Field]:
    """Yield the fields of a message, or of a submessage, in their order.

    Args:
        message: encoded message.
        begin: index of the first byte of the submessage.
        end: index after its last byte; None for that of the message.

    Raises:
        MalformedRequestError: if a field does not end within the message, or is a group.
    """
    at = begin
    end = len(message) if end is None else end
    while at < end:
        tag, content = message[at], at + 1
        if tag > _ONE_BYTE:
            tag, content = _read_varint(message, at, end)
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            length, content = _read_varint(message, content, end)
            stop = content + length
        elif kind == 0:
            _, stop = _read_varint(message, content, end)
        elif kind in _FIXED_BYTES:
            stop = content + _FIXED_BYTES[kind]
        else:
            raise _make_error("a field has an unknown wire type")
        if stop > end:
            raise _make_error("a field does not end within it")
        yield Field(tag >> 3, at, content, stop)
        at = stop


def frame(number: int, content_bytes: int) -> bytes:
    """Return what stands before a field's content: its tag and its length.

    Args:
        number: number of the field, up to 15.
        content_bytes: length of the content.
    """
    framed = bytearray([number << 3 | _LENGTH_DELIMITED])
    while content_bytes > _ONE_BYTE:
        framed.append(content_bytes & 0x7F | 0x80)
        content_bytes >>= 7
    framed.append(content_bytes)
    return bytes(framed)


def _read_varint(message: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number, and the index after it."""
    if at < end and message[at] <= _ONE_BYTE:
        return message[at], at + 1
    value = shift = 0
    for index in range(at, min(end, at + _MAX_VARINT_BYTES)):
        byte = message[index]
        value |= (byte & 0x7F) << shift
        if byte <= _ONE_BYTE:
            return value, index + 1
        shift += 7
    raise _make_error("a number does not end within it")


def _make_error(found: str) -> MalformedRequestError:
    return MalformedRequestError(f"the message must be one that protobuf can parse; {found}")
