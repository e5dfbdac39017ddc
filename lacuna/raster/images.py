"""One image file of any format that is read."""

from __future__ import annotations

from collections.abc import Callable

from lacuna.raster.arrays import decode_npy
from lacuna.raster.jpeg import decode_jpeg
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import Buffer
from lacuna.raster.png import decode_png
from lacuna.raster.raster import Raster
from lacuna.raster.sniff import Format, sniff
from lacuna.raster.tiff import decode_tiff
from lacuna.raster.webp import decode_webp

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
