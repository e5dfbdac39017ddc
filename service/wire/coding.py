"""Content codings gzip and deflate (RFC 9110, section 8.4.1): decompression and compression."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType

from lacuna.errors import BodyTooLargeError, MalformedRequestError, UnsupportedMediaTypeError
from service.wire.quality import read_qualities

_WINDOW_BITS: Mapping[str, int] = MappingProxyType({"gzip": 31, "deflate": 15})
"""Value of zlib's parameter `wbits` for each coding."""

_BARE_BITS = -15
"""Value for deflate without zlib's header, which some clients send for `deflate`."""

CODINGS = tuple(_WINDOW_BITS)

_ALIASES: Mapping[str, str] = MappingProxyType({"x-gzip": "gzip"})

_OUT_OF_MEMORY = "Error -4 "
"""Beginning of the message of a zlib.error: Z_MEM_ERROR is -4."""

_MAX_RATIO = 1032
"""Most bytes that a byte of deflate can stand for (zlib's technical details)."""

_LEVEL = 1
"""Compression level. All levels shrink label maps to a tenth; high ones take ten times as long."""

_MIN_BYTES = 1024
"""Smallest answer to compress. Below that, compression saves less than a packet."""


def read_coding(content_encoding: str | None) -> str | None:
    """Return the coding of a body.

    Args:
        content_encoding: value of the header, a list; None if it is missing.

    Returns:
        One of `CODINGS`; None if the body is not compressed.

    Raises:
        UnsupportedMediaTypeError: if the header names another coding, or several.
    """
    if content_encoding is None:
        return None
    named = [name.strip().lower() for name in content_encoding.split(",")]
    named = [_ALIASES.get(name, name) for name in named if name not in ("", "identity")]
    if not named:
        return None
    if len(named) > 1 or named[0] not in _WINDOW_BITS:
        raise UnsupportedMediaTypeError(
            f"Content-Encoding must be one of {', '.join(CODINGS)}; it is {', '.join(named):.80}",
            CODINGS,
        )
    return named[0]


def estimate_decompressed_bytes(body_bytes: int, limit_bytes: int) -> int:
    """Estimate the size of a decompressed body: the most that it can be.

    Args:
        body_bytes: size of the compressed body.
        limit_bytes: maximum size of the result.
    """
    return min(_MAX_RATIO * body_bytes, limit_bytes)


def decompress(body: bytes | bytearray, coding: str, limit_bytes: int) -> bytes:
    """Decompress a body.

    Args:
        body: compressed body.
        coding: one of `CODINGS`.
        limit_bytes: maximum size of the result. Decompression stops there.

    Raises:
        BodyTooLargeError: if the result would be larger.
        MemoryError: if memory runs out, which zlib calls an error of its own.
        MalformedRequestError: if the body is damaged or truncated, or has bytes after the end of
            its stream.
    """
    is_bare = coding == "deflate" and not _has_zlib_header(body)
    work = zlib.decompressobj(_BARE_BITS if is_bare else _WINDOW_BITS[coding])
    try:
        content = work.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        if str(error).startswith(_OUT_OF_MEMORY):
            raise MemoryError(str(error)) from error
        raise MalformedRequestError(f"the body must be {coding}; {error}") from None
    if len(content) > limit_bytes:
        raise BodyTooLargeError(
            f"the decompressed body must have at most {limit_bytes} bytes; it has more"
        )
    if not work.eof or work.unused_data:
        found = f"{len(work.unused_data)} bytes follow it" if work.eof else "it is truncated"
        raise MalformedRequestError(f"the body must be one whole {coding} stream; {found}")
    return content


def _has_zlib_header(body: bytes | bytearray) -> bool:
    """Return True if the body begins as RFC 1950, section 2.2, says."""
    return len(body) < 2 or (body[0] & 0x0F == 8 and (body[0] * 256 + body[1]) % 31 == 0)


def choose_coding(accept_encoding: str | None, content_bytes: int) -> str | None:
    """Choose the coding of an answer.

    Args:
        accept_encoding: value of the header; None if it is missing.
        content_bytes: size of the answer.

    Returns:
        One of `CODINGS`; None to send the answer uncompressed, because the client prefers that or
        the answer is small.
    """
    if accept_encoding is None or content_bytes < _MIN_BYTES:
        return None
    qualities = dict(read_qualities(accept_encoding))
    others = qualities.get("*", 0.0)
    best = max(CODINGS, key=lambda coding: qualities.get(coding, others))
    quality = qualities.get(best, others)
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else None


def compress_for(accept_encoding: str | None, content: bytes) -> tuple[dict[str, str], bytes]:
    """Compress an answer as its client accepts it. Equal answers give equal bytes.

    Args:
        accept_encoding: value of the header; None if it is missing.
        content: uncompressed answer.

    Returns:
        The header `Content-Encoding`, or no header if the answer stays uncompressed; the content.
    """
    coding = choose_coding(accept_encoding, len(content))
    if coding is None:
        return {}, content
    work = zlib.compressobj(_LEVEL, wbits=_WINDOW_BITS[coding])
    return {"Content-Encoding": coding}, work.compress(content) + work.flush()
