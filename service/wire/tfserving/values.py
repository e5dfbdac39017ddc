"""Images and masks as values of JSON: nested lists, or a file in base64."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError, InvalidMaskError, RequestError
from lacuna.raster.arrays import array_from_nested, mask_from_nested
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from lacuna.raster.raster import Raster
from service.wire.batch import Entry


def make_entry(image: Any, mask: Any) -> Entry:
    """Make an entry of values that are looked at only when it is read.

    Args:
        image: H×W or H×W×C numbers, null for missing ones; or `{"b64": …}` of an image file.
        mask: H×W or H×W×1 booleans or numbers; or `{"b64": …}` of an image file; None if there is
            none.
    """
    return Entry(
        lambda limits: _read_image(image, limits),
        None if mask is None else lambda limits: _read_mask(mask, limits),
    )


def _read_image(value: Any, limits: ImageLimits) -> Raster:
    if isinstance(value, dict):
        return decode_image(_decode(value, "image", InvalidImageError), limits)
    return array_from_nested(value, limits)


def _read_mask(value: Any, limits: ImageLimits) -> NDArray[np.bool_]:
    if isinstance(value, dict):
        return decode_mask(_decode(value, "mask", InvalidMaskError), limits)
    return mask_from_nested(value)


def _decode(value: dict[str, Any], what: str, error: type[RequestError]) -> bytes:
    encoded = value.get("b64")
    if len(value) != 1 or not isinstance(encoded, str):
        names = ", ".join(value)[:100] or "none"
        raise error(f"{what} must be nested lists or an object with b64 alone; it has {names}")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise error(f"{what}.b64 must be base64; {fault}") from None
