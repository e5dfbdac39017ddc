"""Bodies that are a JSON object, read within limits."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pydantic_core

from lacuna.errors import EmptyBodyError, ImageTooLargeError, MalformedRequestError
from lacuna.raster.limits import SAMPLES_PER_PIXEL, ImageLimits

_OTHER_MEMBERS = 10_000
"""What a request may hold beside the numbers of its images and masks: names, shapes, parameters."""

_KINDS: Mapping[type, str] = MappingProxyType(
    {dict: "an object", list: "a list", str: "text", int: "an integer", bool: "true or false"}
)


def read_object(text: bytes | bytearray, limits: ImageLimits) -> dict[str, Any]:
    """Read a JSON object; `NaN` and `Infinity` are taken for numbers.

    Depth is bounded by the parser, at 200, as are the digits of an integer.

    Args:
        text: UTF-8.
        limits: of the images in it. Every number is an object of some tens of bytes once it is
            read, so that they are counted before.

    Raises:
        EmptyBodyError: if there is nothing.
        ImageTooLargeError: if it holds more numbers than the largest image and its mask have.
        MalformedRequestError: if it is not JSON, or not an object.
    """
    if not text:
        raise EmptyBodyError("the body must hold a JSON object; it has 0 bytes")
    most = (SAMPLES_PER_PIXEL + 1) * limits.image_pixels + _OTHER_MEMBERS
    if text.count(b",") >= most:
        raise ImageTooLargeError(f"the body must hold at most {most} numbers; it holds more")
    try:
        content = pydantic_core.from_json(text, allow_inf_nan=True)
    except ValueError as error:
        raise MalformedRequestError(f"the body must be JSON; {error}") from None
    if not isinstance(content, dict):
        raise MalformedRequestError(
            f"the body must be a JSON object; it is of type {type(content).__name__}"
        )
    return content


def read_member(content: dict[str, Any], name: str, kind: type, what: str) -> Any:
    """Give a member of a JSON object.

    Args:
        content: the object.
        name: of the member.
        kind: that it must be of: `dict`, `list`, `str`, `int` or `bool`.
        what: the object is, for the message: "an input".

    Returns:
        The member; None if there is none, or it is null.

    Raises:
        MalformedRequestError: if it is of another kind.
    """
    value = content.get(name)
    if value is None or type(value) is kind:
        return value
    raise MalformedRequestError(
        f"{name} of {what} must be {_KINDS[kind]}; it is of type {type(value).__name__}"
    )
