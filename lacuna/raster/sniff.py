"""What kind of file some bytes are."""

from __future__ import annotations

from typing import Literal

from lacuna.errors import EmptyBodyError, InvalidImageError, UnsupportedMediaTypeError

Format = Literal["png", "jpeg", "webp", "tiff", "npy"]

ACCEPTED = "PNG, JPEG, WebP, TIFF or NPY"

MEDIA_TYPES: dict[str, Format] = {
    "image/png": "png",
    "image/apng": "png",
    "image/x-png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/webp": "webp",
    "image/tiff": "tiff",
    "image/tif": "tiff",
    "image/geotiff": "tiff",
    "application/x-npy": "npy",
    "application/npy": "npy",
    "application/x-numpy": "npy",
}
"""The media types that say that a body is one of ours."""

NAMES = {"png", "jpeg", "jpg", "webp", "tiff", "tif", "npy"}
"""The same without a slash, as the JSON body's `format` gives them."""

UNTYPED = {"", "application/octet-stream", "binary/octet-stream", "image/*", "*/*"}
"""Declarations that say nothing."""

_HEAD_BYTES = 64

_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_OTHERS = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS", "PSD"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP (NPZ)"),
    (b"\x89HDF", "HDF5"),
)


def sniff(data: bytes | memoryview, media_type: str | None = None) -> Format:
    """Tell the format of an image by its first bytes.

    What the bytes say goes before what was declared, because clients guess media types from file
    names; the declaration only chooses between two errors.

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
    found = _ours(head)
    if found is not None:
        return found
    other = _other(head)
    if other is not None:
        raise UnsupportedMediaTypeError(f"image must be {ACCEPTED}; it is {other}")
    declared = (media_type or "").split(";")[0].strip().lower()
    if declared not in UNTYPED and declared not in MEDIA_TYPES and declared not in NAMES:
        raise UnsupportedMediaTypeError(
            f"image must be {ACCEPTED}; it was declared as {declared[:80]!r}"
        )
    raise InvalidImageError(
        f"not an image: the bytes must start as a {ACCEPTED} file does; they do not"
    )


def _ours(data: bytes) -> Format | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith(_TIFF_MAGICS):
        return "tiff"
    if data.startswith(b"\x93NUMPY"):
        return "npy"
    return None


def _other(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return "AVIF" if data[8:11] == b"avi" else "HEIC"
    return next((name for magic, name in _OTHERS if data.startswith(magic)), None)
