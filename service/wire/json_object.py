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
"""Bytes of a number and its part of the lists around it, as objects of Python."""

_SMALL_BYTES = 4096
"""Shorter texts are not looked at for their estimate."""

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
    # Files in base64 are copied as text, and again as bytes.
    return 2 * len(text) + _NUMBER_BYTES * text.count(b",")


def read_object(text: bytes | bytearray, limits: ImageLimits) -> dict[str, Any]:
    """Parse a JSON object; `NaN` and `Infinity` are numbers.

    The parser limits the depth to 200, and also the digits of an integer.

    Args:
        text: JSON in UTF-8.
        limits: limits of the images in it. Numbers are counted before parsing, because each
            becomes an object of some tens of bytes.

    Raises:
        EmptyBodyError: if the text is empty.
        ImageTooLargeError: if it holds more numbers than the largest image with its mask.
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
    # The parser ends the process where an allocation fails.
    check_address_space(2 * len(text) + _PEAK_NUMBER_BYTES * commas)
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
    if text.count(b'"') > _count_quotes(content):
        _check_unique_names(text)
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


def _check_unique_names(text: bytes | bytearray) -> None:
    """Check that no object has a name twice. It takes several times as long as parsing.

    Args:
        text: JSON in UTF-8.

    Raises:
        MalformedRequestError: if one has.
    """

    def check(members: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in members]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise MalformedRequestError(
                f"a JSON object must have each name once; it has {twice:.100} twice"
            )

    json.loads(text, object_pairs_hook=check)


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
