"""Masks of valid pixels from image files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    InvalidImageError,
    InvalidMaskError,
    RequestError,
    UnsupportedMediaTypeError,
)
from lacuna.raster.arrays import MASK_CHANNELS, decode_npy_mask
from lacuna.raster.formats import ACCEPTED
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import Buffer
from lacuna.raster.raster import Raster

_TINT = 1 / 8
"""Part of white by which channels that were equal may differ after compression with loss."""

_COPIED_PIXELS = 1 << 20
"""Larger masks that need no reading are taken as they are: one may have 67 million pixels."""


def decode_mask(data: Buffer, limits: ImageLimits) -> NDArray[np.bool_]:
    """Decode a mask: a picture or array of which every value but 0 means valid.

    Args:
        data: of any format that is read; after compression with loss, as in JPEG, what is brighter
            than half of white means valid. Colour channels must be equal. Where there is alpha, or
            another sign of transparency, a pixel must be opaque as well. A no-data value that the
            file names is ignored: it is mostly inherited from the image.
        limits: the largest mask that is decoded, checked against the header.

    Returns:
        bool (H, W), True = valid.

    Raises:
        EmptyBodyError: if there are no bytes.
        UnsupportedMediaTypeError: if it is of a format that is not read.
        InvalidMaskError: if it is not an image, a damaged one, coloured, or holds NaN.
        ImageTooLargeError: if its header exceeds the limits.
    """
    return read_mask_file(ImageFile(data), limits)


def read_mask_file(file: ImageFile, limits: ImageLimits) -> NDArray[np.bool_]:
    """Decode a mask file; see `decode_mask`."""
    try:
        raster = _decode(file, limits)
    except EmptyBodyError:
        raise EmptyBodyError(f"mask must be a {ACCEPTED} file; it has 0 bytes") from None
    except InvalidImageError as error:
        raise InvalidMaskError(_blame_mask(error)) from error
    except (UnsupportedMediaTypeError, ImageTooLargeError) as error:
        raise type(error)(_blame_mask(error)) from error
    return read_mask(raster)


def read_mask(raster: Raster) -> NDArray[np.bool_]:
    """Return the valid pixels that a decoded mask states; see `decode_mask`.

    Raises:
        InvalidMaskError: if it is coloured, or holds NaN.
    """
    mask = _read_halves(raster) if _is_lossy(raster) else _read_numbers(raster)
    return mask if raster.valid is None else mask & raster.valid


def _decode(file: ImageFile, limits: ImageLimits) -> Raster:
    array = decode_npy_mask(file.data, limits) if file.form.key == "npy" else None
    return file.decode(limits) if array is None else array


def _blame_mask(error: RequestError) -> str:
    return f"mask cannot be read: {error.message.replace('image must', 'it must', 1)}"


def check_mask_fits(
    mask: NDArray[np.bool_], size: tuple[int, int], *, is_turned: bool = False
) -> None:
    """Hold a mask to the size of its image.

    Args:
        mask: bool (H, W).
        size: the image's height and width.
        is_turned: the image's height and width were swapped, as its orientation says.

    Raises:
        InvalidMaskError: if they differ.
    """
    if mask.shape == size:
        return
    height, width = size
    turned, hint = "", ""
    if is_turned:
        turned = f" (stored as {width}×{height} and turned as its EXIF orientation says)"
    elif mask.shape == (width, height):
        hint = "; the sides are swapped, as by an EXIF orientation of only one of them"
    raise InvalidMaskError(
        "mask must have the image's height and width; "
        f"image is {height}×{width}{turned}, mask is {mask.shape[0]}×{mask.shape[1]}{hint}"
    )


def _is_lossy(raster: Raster) -> bool:
    if raster.is_lossy is None:
        # A mask has two values, unless loss has made more of them.
        return len(np.unique(raster.values)) > 2
    return raster.is_lossy


def _read_halves(raster: Raster) -> NDArray[np.bool_]:
    """Cut values halfway: compression with loss turns a 0 beside an edge into 3 or 7."""
    values, white = raster.values, raster.full_scale
    if white is None:
        raise InvalidMaskError(
            "mask that is compressed with loss must hold unsigned numbers; it holds signed ones"
        )
    if raster.channels == 1:
        bright = values[:, :, 0] >= white / 2
    else:
        bright = values.mean(axis=2, dtype=np.float32) >= white / 2
        sides = values >= white / 2
        tints = values.max(axis=2) - values.min(axis=2)
        if ((sides != sides[:, :, :1]).any(axis=2) & (tints > white * _TINT)).any():
            raise _coloured(raster)
    # Stored values count, not brightness.
    return np.asarray(~bright if raster.white_is_zero else bright, np.bool_)


def _read_numbers(raster: Raster) -> NDArray[np.bool_]:
    values = raster.values
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise InvalidMaskError("mask must hold numbers; it holds NaN")
    first = values[:, :, :1]
    if raster.channels > 1 and (values != first).any():
        raise _coloured(raster)
    if raster.is_binary and values.size > _COPIED_PIXELS and values.max() <= 1:
        return values[:, :, 0].view(np.bool_)
    # Stored values count, not brightness: tifffile, for one, stores bool masks as white-is-zero.
    zero = raster.full_scale if raster.white_is_zero else 0
    return np.asarray(first[:, :, 0] != zero, np.bool_)


def _coloured(raster: Raster) -> InvalidMaskError:
    if raster.channels not in MASK_CHANNELS:
        return InvalidMaskError(
            f"mask must be (height, width), with one channel or equal ones; it is "
            f"{raster.values.shape}"
        )
    return InvalidMaskError(
        f"mask must have one channel, or equal ones; it has {raster.channels} that differ"
    )
