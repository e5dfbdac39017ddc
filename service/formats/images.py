"""One image file of any format that is read."""

from __future__ import annotations

from collections.abc import Callable

from service.formats.arrays import decode_npy
from service.formats.jpeg import decode_jpeg
from service.formats.limits import ImageLimits
from service.formats.npy import Buffer
from service.formats.png import decode_png
from service.formats.raster import Raster
from service.formats.sniff import Format, sniff
from service.formats.tiff import decode_tiff
from service.formats.webp import decode_webp

_DECODERS: dict[Format, Callable[[bytes, ImageLimits], Raster]] = {
    "png": decode_png,
    "jpeg": decode_jpeg,
    "webp": decode_webp,
    "tiff": decode_tiff,
}


def decode_image(data: Buffer, limits: ImageLimits, media_type: str | None = None) -> Raster:
    """Decode an image file.

    Args:
        data: PNG, JPEG, WebP, TIFF or NPY.
        limits: the largest image that is decoded, checked against the header.
        media_type: what the file was declared as; its bytes say what it is.

    Raises:
        EmptyBodyError: if there are no bytes.
        UnsupportedMediaTypeError: if it is of a format that is not read.
        InvalidImageError: if it is not an image, a damaged one, or more than one.
        ImageTooLargeError: if its header exceeds the limits.
    """
    found = sniff(data, media_type)
    if found == "npy":
        return decode_npy(data, limits)
    return _DECODERS[found](bytes(data), limits)
