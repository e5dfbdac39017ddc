"""Parsing of bodies that are a JSON object, within limits."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pydantic_core

from lacuna.errors import EmptyBodyError, ImageTooLargeError, MalformedRequestError
from lacuna.out_of_memory import check_address_space
from lacuna.raster.limits import SAMPLES_PER_PIXEL, ImageLimits

_OTHER_MEMBERS = 10_000
"""Allowance for members that are not pixels: names, shapes, parameters."""

_BRACE = ord("{")

_NUMBER_BYTES = 48
"""Bytes of a number and its part of the list around it, as objects of Python."""

_LIST_BYTES = 88
"""Bytes of a list of one item, without the item."""

_OBJECT_BYTES = 136
"""Bytes of an object of one member, with its small table, without the member."""

_MEMBER_BYTES = 96
"""Bytes of a member's name, and its part of the table while that grows."""

_TEXT_BYTES = 3
"""Bytes for each byte of ASCII text: base64 is copied as text, again without its line ends, and
again as bytes."""

_WIDE_TEXT_BYTES = 8
"""Bytes for each byte of a text with other characters: one of them makes Python take four bytes for
each character, and the text is there twice while names are compared."""

_LISTS_PER_PIXEL = 4
"""Most lists for each pixel: those of H×1×1 images and masks."""

_SMALL_BYTES = 4096
"""Shorter texts are not looked at for their estimate."""

_BASE_BYTES = 8192
"""Bytes of the parser's own objects, however short the text."""

_PEAK_NUMBER_BYTES = 128
"""Most bytes of a number while the lists around it grow."""

_KINDS: Mapping[type, str] = MappingProxyType(
    {dict: "an object", list: "a list", str: "text", int: "an integer", bool: "true or false"}
)


def estimate_parse_bytes(text: bytes | bytearray) -> int:
    """Estimate the memory that parsing a JSON text takes, in bytes.

    Args:
        text: JSON in UTF-8.
    """
    if len(text) < _SMALL_BYTES:
        return _NUMBER_BYTES * len(text)
    # Looking for one character is a tenth of the work of looking for two.
    is_narrow = text.isascii() and (b"\\" not in text or b"\\u" not in text)
    return (
        _BASE_BYTES
        + (_TEXT_BYTES if is_narrow else _WIDE_TEXT_BYTES) * len(text)
        + _NUMBER_BYTES * text.count(b",")
        + _LIST_BYTES * text.count(b"[")
        + _OBJECT_BYTES * text.count(b"{")
        + _MEMBER_BYTES * text.count(b":")
    )


def read_object(text: bytes | bytearray, limits: ImageLimits) -> dict[str, Any]:
    """Parse a JSON object; `NaN` and `Infinity` are numbers.

    The parser limits the depth to 200, and also the digits of an integer.

    Args:
        text: JSON in UTF-8.
        limits: limits of the images in it. Numbers are counted before parsing, because each
            becomes an object of some tens of bytes.

    Raises:
        EmptyBodyError: if the text is empty.
        ImageTooLargeError: if it holds more numbers, lists or objects than the largest image with
            its mask.
        MemoryError: if there is no memory to parse it, in a limited address space.
        MalformedRequestError: if it is not JSON in UTF-8, not an object, or has a name twice.
    """
    if not text:
        raise EmptyBodyError("the body must hold a JSON object; it has 0 bytes")
    if text[0] != _BRACE:
        text = _skip_mark(text)
    most = (SAMPLES_PER_PIXEL + 1) * limits.image_pixels + _OTHER_MEMBERS
    commas = text.count(b",")
    if commas >= most:
        raise ImageTooLargeError(f"the body must hold at most {most} numbers; it holds more")
    containers = text.count(b"[") + text.count(b"{")
    most = _LISTS_PER_PIXEL * limits.image_pixels + _OTHER_MEMBERS
    if containers > most:
        raise ImageTooLargeError(
            f"the body must hold at most {most} lists and objects; it holds more"
        )
    # The parser ends the process where an allocation fails.
    check_address_space(2 * len(text) + _PEAK_NUMBER_BYTES * (commas + containers))
    try:
        content = pydantic_core.from_json(text, allow_inf_nan=True)
    except ValueError as error:
        if b"\0" in text[:4]:
            raise _wrong_encoding("it is in UTF-16 or UTF-32") from None
        raise MalformedRequestError(f"the body must be JSON; {error}") from None
    if not isinstance(content, dict):
        raise MalformedRequestError(
            f"the body must be a JSON object; it is of type {type(content).__name__}"
        )
    # The lists of images are looked into only where the rest does not account for all quotes.
    quotes = text.count(b'"')
    if quotes > _count_quotes(content) and quotes > _count_all_quotes(content):
        del content  # its memory is needed again
        raise MalformedRequestError(
            f"a JSON object must have each name once; it has {_find_repeated_name(text)} twice"
        )
    return content


def _count_quotes(value: Any) -> int:
    """Count the quotes around the names and texts of a value, except in lists of lists.

    If a name is repeated, the text has more of them, because the parser keeps the last member.
    """
    if type(value) is str:
        return 2 + value.count('"')
    if type(value) is dict:
        return sum(2 + name.count('"') + _count_quotes(member) for name, member in value.items())
    if type(value) is list and value and type(value[0]) in (str, dict):
        return sum(map(_count_quotes, value))
    return 0


def _count_all_quotes(value: Any) -> int:
    """Count the quotes around the names and texts of a value."""
    if type(value) is list:
        return sum(map(_count_all_quotes, value))
    if type(value) is dict:
        return _count_all_quotes(list(value)) + sum(map(_count_all_quotes, value.values()))
    return _count_quotes(value)


def _find_repeated_name(text: bytes | bytearray) -> str:
    """Return the beginning of a name that an object has twice.

    Numbers and objects are dropped as they are read, so that it takes less memory than parsing.

    Args:
        text: JSON in UTF-8, with such an object.
    """
    repeated: list[str] = []

    def look(members: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in members:
            if name in seen and not repeated:
                repeated.append(name[:100])
            seen.add(name)

    def drop(_: str) -> None:
        return None

    json.loads(text, object_pairs_hook=look, parse_int=drop, parse_float=drop)
    return repeated[0]


def _skip_mark(text: bytes | bytearray) -> bytes | bytearray:
    """Return text without the byte order mark that some editors and .NET put before UTF-8."""
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _wrong_encoding("it begins with the byte order mark of UTF-16")
    return text[len(codecs.BOM_UTF8) :] if text.startswith(codecs.BOM_UTF8) else text


def _wrong_encoding(found: str) -> MalformedRequestError:
    return MalformedRequestError(f"the body must be JSON in UTF-8; {found}")


def read_member(content: dict[str, Any], name: str, kind: type, what: str) -> Any:
    """Return a member of a JSON object.

    Args:
        content: JSON object.
        name: name of the member.
        kind: required type: `dict`, `list`, `str`, `int` or `bool`.
        what: name of the object in error messages, such as "an input".

    Returns:
        The member; None if it is missing or null.

    Raises:
        MalformedRequestError: if it is of another type.
    """
    value = content.get(name)
    if value is None or type(value) is kind:
        return value
    raise MalformedRequestError(
        f"{name} of {what} must be {_KINDS[kind]}; it is of type {type(value).__name__}"
    )
