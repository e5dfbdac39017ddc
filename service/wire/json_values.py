"""Images and masks in JSON: nested lists, files in base64, or COCO run-length encoding."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError, InvalidMaskError, RequestError
from lacuna.raster import rle
from lacuna.raster.arrays import array_from_nested, mask_from_nested
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from lacuna.raster.raster import Raster
from service.wire.batch import ImageInput

_DATA_URL = re.compile(r"data:([^,;]{0,100})(?:;[^,;]{0,100}){0,8}?;base64,", re.IGNORECASE)
_BLANKS = {ord(blank): None for blank in " \t\r\n\f"}
_URL_SAFE = str.maketrans("-_", "+/")


def make_image_input(
    image: Any, mask: Any, nodata: float | None = None, *, strict: bool
) -> ImageInput:
    """Make an input of JSON values. The values are checked when the input is read.

    Args:
        image: H×W or H×W×C numbers, null for missing ones; or `{"b64": …}` with an image file.
        mask: H×W or H×W×1 booleans or numbers; or `{"b64": …}` with an image file; None for no
            mask.
        nodata: value of missing pixels in the units of the image; may be NaN; None for none.
        strict: True to allow only `b64` in an object. False also allows a `format` beside it, and
            COCO run-length encoding as a mask.
    """
    return ImageInput(
        lambda limits: _read_image(image, limits, strict=strict),
        None if mask is None else lambda limits: _read_mask(mask, limits, strict=strict),
        nodata,
    )


def _read_image(value: Any, limits: ImageLimits, *, strict: bool) -> Raster:
    if not isinstance(value, dict):
        return array_from_nested(value, limits)
    data, media_type = _decode_base64(value, "image", InvalidImageError, strict=strict)
    return decode_image(data, limits, media_type)


def _read_mask(value: Any, limits: ImageLimits, *, strict: bool) -> NDArray[np.bool_]:
    if not isinstance(value, dict):
        return mask_from_nested(value)
    if not strict and "counts" in value:
        return rle.decode(value, limits.image_pixels)
    data, media_type = _decode_base64(value, "mask", InvalidMaskError, strict=strict)
    return decode_mask(data, limits, media_type)


def _decode_base64(
    value: dict[str, Any], what: str, error: type[RequestError], *, strict: bool
) -> tuple[bytes, str | None]:
    encoded, media_type = value.get("b64"), value.get("format")
    is_file = isinstance(encoded, str) and isinstance(media_type, str | None)
    if not is_file or (strict and len(value) != 1):
        needed = "b64 alone" if strict else "b64"
        names = ", ".join(value)[:100] or "none"
        raise error(f"{what} must be nested lists or an object with {needed}; it has {names}")
    try:
        return base64.b64decode(encoded or "", validate=True), media_type
    except (binascii.Error, ValueError):
        pass  # rarely, so that nothing is searched for in all others
    try:
        return _decode_loosely(encoded or "", media_type)
    except (binascii.Error, ValueError) as fault:
        raise error(f"{what}.b64 must be base64; {fault}") from None


def _decode_loosely(encoded: str, media_type: str | None) -> tuple[bytes, str | None]:
    """Decode base64 as a data URL, in lines, in the alphabet for URLs, or without its padding."""
    url = _DATA_URL.match(encoded)
    if url is not None:
        encoded, media_type = encoded[url.end() :], media_type or url[1] or None
    digits = encoded.translate(_BLANKS).rstrip("=").translate(_URL_SAFE)
    padding = "=" * (-len(digits) % 4)
    return base64.b64decode(digits + padding, validate=True), media_type
