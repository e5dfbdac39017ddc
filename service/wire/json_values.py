"""Images and masks in JSON: nested lists, files in base64, or COCO run-length encoding."""

from __future__ import annotations

import binascii
import contextlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError, InvalidMaskError, RequestError
from lacuna.excerpts import list_names
from lacuna.raster import rle
from lacuna.raster.arrays import array_from_nested, mask_from_nested
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits, check_size
from lacuna.raster.masks import read_mask_file
from lacuna.raster.nodata import NoData
from lacuna.raster.raster import Raster
from lacuna.raster.samples import check_selection
from service.wire.batch import ImageInput, measure_files
from service.wire.dialect import Footprint

_NUMBER_BYTES = 28
"""Bytes for each number of nested lists while they become an array: lists, float64 and float32."""

_SELECTED_BYTES = 4
"""Bytes for each number of the bands that are wanted, float32."""

_DATA_URL = re.compile(r"data:([^,;]{0,100})(?:;[^,;]{0,100}){0,8}?;base64,", re.IGNORECASE)
_TO_PLAIN = str.maketrans("-_", "+/", " \t\r\n\f")
"""From the alphabet for URLs to the other, without blanks."""


def make_image_input(
    image: Any,
    mask: Any,
    nodata: NoData | None = None,
    bands: BandSelection = EVERY_BAND,
    *,
    strict: bool,
) -> ImageInput:
    """Make an input of JSON values. The values are checked when the input is read.

    Args:
        image: H×W or H×W×C numbers, null for missing ones; or `{"b64": …}` with an image file.
        mask: H×W or H×W×1 booleans or numbers; or `{"b64": …}` with an image file; None for no
            mask.
        nodata: value of missing pixels in the units of the image, in place of those that the file
            names; None for these.
        bands: bands of the image that are wanted.
        strict: True to allow only `b64` in an object. False also allows a `format` beside it, and
            COCO run-length encoding as a mask.
    """
    image_value = _JsonValue(image, "image", InvalidImageError, strict=strict)
    mask_value = _JsonValue(mask, "mask", InvalidMaskError, strict=strict)
    return ImageInput(
        lambda limits: _measure(image_value, mask_value, limits, bands),
        image_value.read_image,
        None if mask is None else mask_value.read_mask,
        nodata,
        bands,
    )


def _measure(
    image: _JsonValue, mask: _JsonValue, limits: ImageLimits, bands: BandSelection
) -> Footprint:
    if image.is_lists:
        height, width, channels = _measure_lists(image.value)
        if height and width and channels:
            check_size(limits, height, width, channels)
            check_selection(limits, height, width, bands)
        pixels, decode_bytes = height * width, height * width * channels * _NUMBER_BYTES
        decode_bytes += pixels * len(bands.bands or ()) * _SELECTED_BYTES
    else:
        pixels, decode_bytes = measure_files(image.file, None, limits, bands)
    # A mask that cannot be measured is refused when it is read, before anything is allocated.
    with contextlib.suppress(RequestError):
        decode_bytes += mask.estimate_mask_bytes(limits)
    return Footprint(pixels, decode_bytes)


def _measure_lists(value: Any) -> tuple[int, int, int]:
    """Return height, width and channels of nested lists, 0 where there are none.

    Only the first lists are looked at. Others are refused when they are read.
    """
    height = len(value) if isinstance(value, list) else 0
    row = value[0] if height else None
    width = len(row) if isinstance(row, list) else 0
    pixel = row[0] if isinstance(row, list) and row else None
    return height, width, len(pixel) if isinstance(pixel, list) else 1


@dataclass(frozen=True)
class _JsonValue:
    """JSON value of an image or a mask.

    Attributes:
        value: the value.
        what: "image" or "mask", for messages.
        error: class of the errors about it.
        strict: True to allow only `b64` in an object.
    """

    value: Any
    what: str
    error: type[RequestError]
    strict: bool

    @property
    def is_lists(self) -> bool:
        """True for nested lists, False for an object."""
        return not isinstance(self.value, dict)

    @cached_property
    def file(self) -> ImageFile:
        """Image file of an object with base64."""
        return ImageFile(*_decode_base64(self.value, self.what, self.error, strict=self.strict))

    @property
    def is_run_length_encoded(self) -> bool:
        """True for COCO run-length encoding, where it is allowed."""
        return not self.strict and "counts" in self.value

    def read_image(self, limits: ImageLimits, bands: BandSelection) -> Raster:
        """Decode an image."""
        self._check_text()
        if self.is_lists:
            return array_from_nested(self.value, limits, bands)
        return self.file.decode(limits, bands)

    def read_mask(self, limits: ImageLimits) -> NDArray[np.bool_]:
        """Decode a mask."""
        self._check_text()
        if self.is_lists:
            return mask_from_nested(self.value)
        if self.is_run_length_encoded:
            return rle.decode(self.value, limits.image_pixels)
        return read_mask_file(self.file, limits)

    def _check_text(self) -> None:
        if isinstance(self.value, str):
            raise self.error(
                f"{self.what} must be nested lists of rows, or an object; it is a text. Did you "
                f'mean {{"b64": "..."}}, with a file in base64?'
            )

    def estimate_mask_bytes(self, limits: ImageLimits) -> int:
        """Estimate the memory that decoding a mask takes, in bytes."""
        if self.value is None:
            return 0
        if self.is_lists:
            return math.prod(_measure_lists(self.value)) * _NUMBER_BYTES
        if self.is_run_length_encoded:
            return rle.estimate_bytes(self.value, limits.image_pixels)
        return self.file.estimate_bytes(limits)


def _decode_base64(
    value: dict[str, Any], what: str, error: type[RequestError], *, strict: bool
) -> tuple[bytes, str | None]:
    encoded, media_type = value.get("b64"), value.get("format")
    is_file = isinstance(encoded, str) and isinstance(media_type, str | None)
    if not is_file or (strict and len(value) != 1):
        needed = "b64 alone" if strict else "b64"
        raise error(
            f"{what} must be nested lists or an object with {needed}; it has {list_names(value)}"
        )
    try:
        return binascii.a2b_base64(encoded or "", strict_mode=True), media_type
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
    # The text is copied once: `estimate_parse_bytes` accounts for that.
    encoded = encoded.translate(_TO_PLAIN)
    encoded = encoded.rstrip("=")
    encoded += "=" * (-len(encoded) % 4)
    return binascii.a2b_base64(encoded, strict_mode=True), media_type
