"""Codings of bodies, gzip and deflate (RFC 9110, section 8.4.1), undone within a limit."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType

from lacuna.errors import BodyTooLargeError, MalformedRequestError, UnsupportedMediaTypeError
from service.wire.quality import read_qualities

_WINDOW_BITS: Mapping[str, int] = MappingProxyType({"gzip": 31, "deflate": 15})
"""How zlib is told which of its formats is meant."""

CODINGS = tuple(_WINDOW_BITS)

_LEVEL = 1
"""A label map shrinks to a tenth at any level; the higher ones take ten times as long."""

_WORTH_BYTES = 1024
"""Below this a coding saves less than a packet."""


def read_coding(content_encoding: str | None) -> str | None:
    """Give the coding of a body.

    Args:
        content_encoding: the header; None if there is none.

    Returns:
        One of `CODINGS`; None for a body as it is.

    Raises:
        UnsupportedMediaTypeError: if it is any other, or several.
    """
    coding = (content_encoding or "identity").strip().lower()
    if coding == "identity":
        return None
    if coding not in _WINDOW_BITS:
        raise UnsupportedMediaTypeError(
            f"Content-Encoding must be one of {', '.join(CODINGS)}; it is {coding[:80]}"
        )
    return coding


def decompress(body: bytes | bytearray, coding: str, limit_bytes: int) -> bytes:
    """Undo the coding of a body.

    Args:
        body: as it came.
        coding: one of `CODINGS`.
        limit_bytes: of the result; no more than that is ever made.

    Raises:
        BodyTooLargeError: if there would be more.
        MalformedRequestError: if the body is damaged, cut short, or goes on after its end.
    """
    work = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        content = work.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise MalformedRequestError(f"the body must be {coding}; {error}") from None
    if len(content) > limit_bytes:
        raise BodyTooLargeError(
            f"the body must have at most {limit_bytes} bytes; it has more once decompressed"
        )
    if not work.eof or work.unused_data:
        found = f"{len(work.unused_data)} bytes follow it" if work.eof else "it is cut short"
        raise MalformedRequestError(f"the body must be one whole {coding} stream; {found}")
    return content


def choose_coding(accept_encoding: str | None, content_bytes: int) -> str | None:
    """Choose the coding of an answer.

    Args:
        accept_encoding: the header; None if there is none.
        content_bytes: of the answer.

    Returns:
        One of `CODINGS`; None for the answer as it is, where the caller wants that, or there is
        nothing to be gained.
    """
    if accept_encoding is None or content_bytes < _WORTH_BYTES:
        return None
    qualities = dict(read_qualities(accept_encoding))
    others = qualities.get("*", 0.0)
    best = max(CODINGS, key=lambda coding: qualities.get(coding, others))
    quality = qualities.get(best, others)
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else None


def compress_for(accept_encoding: str | None, content: bytes) -> tuple[dict[str, str], bytes]:
    """Write an answer in the coding that its caller would like, the same bytes every time.

    Args:
        accept_encoding: the header; None if there is none.
        content: of the answer.

    Returns:
        The header that names the coding, if there is one, and the content in it.
    """
    coding = choose_coding(accept_encoding, len(content))
    if coding is None:
        return {}, content
    work = zlib.compressobj(_LEVEL, wbits=_WINDOW_BITS[coding])
    return {"Content-Encoding": coding}, work.compress(content) + work.flush()
