"""Recognition of an image format by the first bytes of a file."""

from __future__ import annotations

from functools import lru_cache

from lacuna.errors import EmptyBodyError, InvalidImageError, UnsupportedMediaTypeError
from lacuna.raster.formats import ACCEPTED, BARE_NAMES, FORMATS, MEDIA_TYPES, OTHERS, Format

UNTYPED = {"", "application/octet-stream", "binary/octet-stream", "image/*", "*/*"}
"""Declarations that say nothing."""

_HEAD_BYTES = 16
"""As many as any magic needs; few, so that files of a client begin alike."""


def sniff(data: bytes | memoryview, media_type: str | None = None) -> Format:
    """Recognize the format of an image by its first bytes.

    The bytes count, not the declaration: clients guess media types from file names. The declaration
    only chooses between two errors.

    Args:
        data: a file.
        media_type: what it was declared as, a media type with or without parameters or a bare
            name such as "png".

    Raises:
        EmptyBodyError: if there are no bytes.
        UnsupportedMediaTypeError: if the bytes are of a format that is not read, or unknown and
            declared as something that is not read.
        InvalidImageError: if the bytes are of no known format.
    """
    if not data:
        raise EmptyBodyError(f"image must be a {ACCEPTED} file; it has 0 bytes")
    head = bytes(data[:_HEAD_BYTES])
    found = _find_format(head)
    if found is not None:
        return found
    other = _other(head)
    if other is not None:
        raise UnsupportedMediaTypeError(f"image must be {ACCEPTED}; it is {other}")
    declared = (media_type or "").split(";")[0].strip().lower()
    if declared not in UNTYPED and declared not in MEDIA_TYPES and declared not in BARE_NAMES:
        raise UnsupportedMediaTypeError(
            f"image must be {ACCEPTED}; it was declared as {declared[:80]!r}"
        )
    raise InvalidImageError(
        f"not an image: the bytes must start as a {ACCEPTED} file does; they do not"
    )


@lru_cache(maxsize=256)
def _find_format(head: bytes) -> Format | None:
    return next((form for form in FORMATS if form.matches(head)), None)


def _other(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return "AVIF" if data[8:11] == b"avi" else "HEIC"
    return next((name for magic, name in OTHERS if data.startswith(magic)), None)
