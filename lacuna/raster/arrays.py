"""Arrays that come as numbers: NPY files and nested JSON lists."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError, InvalidMaskError
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.formats import Header
from lacuna.raster.limits import ImageLimits, check_size
from lacuna.raster.npy import Buffer, read_npy, read_npy_header
from lacuna.raster.raster import Raster, make_raster
from lacuna.raster.samples import check_selection, select_bands

MASK_CHANNELS = (1, 3, 4)
"""Channels of a mask that was saved as a picture: grey, RGB or RGBA."""

_NUMBERS = frozenset({int, float})
_IMAGE_TYPES = _NUMBERS | {type(None)}
_MASK_TYPES = _NUMBERS | {bool}


def decode_npy(data: Buffer, _: ImageLimits, bands: BandSelection = EVERY_BAND) -> Raster:
    """Decode an NPY file as an image.

    Args:
        data: an array (H, W), (H, W, C) or (1, H, W, C) of real numbers, whose header was checked.
        bands: bands that are wanted.

    Raises:
        InvalidImageError: if the file is damaged.
    """
    array = _read_array(data)
    is_binary = array.dtype == np.bool_ and array.shape[2] == 1
    return select_bands(make_raster(array, is_binary=is_binary), bands)


def decode_stored_npy(data: Buffer, _: ImageLimits) -> NDArray[Any]:
    """Decode the numbers of an NPY file as they are stored.

    Args:
        data: as for `decode_npy`.

    Returns:
        (H, W, C) of the dtype saved.

    Raises:
        InvalidImageError: if the file is damaged.
    """
    return _read_array(data)


def read_npy_size(data: Buffer) -> Header:
    """Read the size of the image from the header.

    Raises:
        InvalidImageError: if the header is damaged, not of numbers, or not of such a shape.
    """
    header = read_npy_header(data)
    return Header(*_image_shape(header.shape), header.dtype.itemsize)


def _read_array(data: Buffer) -> NDArray[Any]:
    header = read_npy_header(data)
    return read_npy(data, header).reshape(_image_shape(header.shape))


def array_from_nested(
    value: object, limits: ImageLimits, bands: BandSelection = EVERY_BAND
) -> Raster:
    """Turn nested JSON lists into an image.

    Args:
        value: H lists of W numbers, or of W lists of C numbers; None and NaN are missing values.
        limits: the largest image that is taken.
        bands: bands that are wanted.

    Returns:
        float32: JSON's numbers have no dtype.

    Raises:
        InvalidImageError: if the lists are ragged, empty, too deep, or hold anything else.
        ImageTooLargeError: if there are too many pixels or channels.
    """
    try:
        rows = _lists(value)
        channels = len(rows[0][0]) if isinstance(rows[0][0], list) else 1
        check_size(limits, len(rows), len(rows[0]), channels)
        check_selection(limits, len(rows), len(rows[0]), bands)
        raster = Raster(_numbers(rows, _IMAGE_TYPES))
    except ValueError as error:
        raise InvalidImageError(f"image must be {error}") from None
    return select_bands(raster, bands)


def mask_from_nested(value: object) -> NDArray[np.bool_]:
    """Turn nested JSON lists into a mask.

    Args:
        value: H lists of W booleans or numbers, or of W lists of one, or one list of the former;
            not 0 means valid.

    Returns:
        bool (H, W), True = valid.

    Raises:
        InvalidMaskError: if the lists are ragged, empty, too deep, or hold anything else.
    """
    try:
        numbers = _numbers(_lists(value), _MASK_TYPES)
    except ValueError as error:
        raise InvalidMaskError(f"mask must be {error}") from None
    if _has_batch_axis(numbers.shape):
        numbers = numbers[0, :, :, None]
    if numbers.shape[2] != 1:
        raise InvalidMaskError(
            f"mask must have one channel; it has {numbers.shape[2]}, as its shape is "
            f"{numbers.shape}"
        )
    if np.isnan(numbers).any():
        raise InvalidMaskError("mask must hold numbers or booleans; it holds NaN")
    return np.not_equal(numbers[:, :, 0], 0)


def decode_npy_mask(data: Buffer, limits: ImageLimits) -> Raster | None:
    """Decode an NPY file as a mask (1, H, W), which as an image would have W channels.

    Args:
        data: the file.
        limits: the largest mask that is taken.

    Returns:
        One channel; None if the array has another shape.

    Raises:
        InvalidImageError: if the file is damaged.
        ImageTooLargeError: if there are too many pixels.
    """
    header = read_npy_header(data)
    if len(header.shape) != 3 or not _has_batch_axis(header.shape):
        return None
    check_size(limits, *header.shape[1:])
    array = read_npy(data, header).reshape(*header.shape[1:], 1)
    return make_raster(array, is_binary=array.dtype == np.bool_)


def _has_batch_axis(shape: tuple[int, ...]) -> bool:
    """Return True for a mask (1, H, W), which is taken for (H, W, C) if it may be coloured."""
    return shape[0] == 1 and shape[2] not in MASK_CHANNELS


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) == 4 and shape[0] == 1:
        return shape[1], shape[2], shape[3]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], shape[1], 1
    raise InvalidImageError(f"array must be (H, W), (H, W, C) or (1, H, W, C); it is {shape}")


def _lists(value: object) -> list[list[Any]]:
    """Hold a value to be lists of lists of one length, none of them empty."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"lists of rows; it is {_describe(value)}")
    first = value[0]
    for row in value:
        if not isinstance(row, list) or not row:
            raise ValueError(f"lists of rows; a row is {_describe(row)}")
        if len(row) != len(first):
            raise ValueError(
                f"lists of rows of one length; the first has {len(first)}, another {len(row)}"
            )
    return value


def _numbers(rows: list[list[Any]], accepted: frozenset[type]) -> NDArray[np.float32]:
    """Convert lists (H, W) or (H, W, C) to float32 (H, W, C), C-speed all the way.

    NumPy alone would take "7" and True for numbers, so the types are looked at first.
    """
    pixels = list(chain.from_iterable(rows))
    channels = 1
    if isinstance(pixels[0], list):
        lengths = {len(pixel) if isinstance(pixel, list) else 0 for pixel in pixels}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError("lists of pixels of one length; these are ragged or empty")
        (channels,) = lengths
        pixels = list(chain.from_iterable(pixels))
    strange = set(map(type, pixels)) - accepted
    if strange:
        kind = min(kind.__name__ for kind in strange)
        raise ValueError(f"rows of numbers, or of lists of numbers; it holds a {kind}")
    try:
        with np.errstate(over="ignore"):
            flat = np.array(pixels, np.float64).astype(np.float32)
    except OverflowError:
        raise ValueError("made of numbers within float64; one is beyond") from None
    return flat.reshape(len(rows), len(rows[0]), channels)


def _describe(value: object) -> str:
    if isinstance(value, list):
        return "an empty list"
    return f"a {type(value).__name__}"
