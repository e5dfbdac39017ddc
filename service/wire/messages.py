"""Decoding of protobuf messages that hold no images."""

from __future__ import annotations

from typing import Any

from lacuna.errors import BodyTooLargeError, MalformedRequestError
from service.interfaces.messages import DecodeError, find_message

MAX_BYTES = 64 * 1024
"""Most bytes of a message that holds no images. It is decoded as a whole, and takes some ten times
as much memory."""


def decode_short(name: str, message: bytes) -> Any:
    """Decode a message that holds no images.

    Args:
        name: full name of the message.
        message: encoded message.

    Raises:
        BodyTooLargeError: if it has more than `MAX_BYTES`.
        MalformedRequestError: if it is no such message.
    """
    check_length(name_short(name), message)
    return decode(name, message)


def check_length(kind: str, message: bytes) -> None:
    """Check the length of a message that holds no images.

    Args:
        kind: name of the message, for the error.
        message: encoded message.

    Raises:
        BodyTooLargeError: if it has more than `MAX_BYTES`.
    """
    if len(message) > MAX_BYTES:
        raise BodyTooLargeError(
            f"a {kind} must have at most {MAX_BYTES} bytes; it has {len(message)}"
        )


def decode(name: str, message: bytes) -> Any:
    """Decode a message of any length.

    Args:
        name: full name of the message.
        message: encoded message.

    Raises:
        MalformedRequestError: if it is no such message.
    """
    try:
        return find_message(name).FromString(message)
    except DecodeError as error:
        raise MalformedRequestError(f"the message must be a {name_short(name)}; {error}") from None


def name_short(name: str) -> str:
    """Return the last part of the full name of a message."""
    return name.rpartition(".")[2]
