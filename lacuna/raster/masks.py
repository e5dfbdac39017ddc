"""Masks of valid pixels from image files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import EmptyBodyError, InvalidImageError, InvalidMaskError
from lacuna.raster.formats import ACCEPTED
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import Buffer
from lacuna.raster.raster import Raster

_LOSSY_THRESHOLD = 128
"""Compression with loss turns a 0 beside an edge into 3 or 7; halfway is where it was cut."""

_COPIED_PIXELS = 1 << 20
"""Larger masks that need no reading are taken as they are: one may have 67 million pixels."""


def decode_mask(
    data: Buffer, limits: ImageLimits, media_type: str | None = None
) -> NDArray[np.bool_]:
    """Decode a mask: a picture or array of which every value but 0 means valid.

    Args:
        data: of any format that is read; after compression with loss, as
            in JPEG, 128 and more means valid. Colour channels
            must be equal. Where there is alpha, or another sign of transparency, a pixel must be
            opaque as well.
        limits: the largest mask that is decoded, checked against the header.
        media_type: what the file was declared as; its bytes say what it is.

    Returns:
        bool (H, W), True = valid.

    Raises:
        EmptyBodyError: if there are no bytes.
        UnsupportedMediaTypeError: if it is of a format that is not read.
        InvalidMaskError: if it is not an image, a damaged one, coloured, or holds NaN.
        ImageTooLargeError: if its header exceeds the limits.
    """
    return read_mask_file(ImageFile(data, media_type), limits)


def read_mask_file(file: ImageFile, limits: ImageLimits) -> NDArray[np.bool_]:
    """Decode a mask file; see `decode_mask`."""
    try:
        raster = file.decode(limits)
    except EmptyBodyError:
        raise EmptyBodyError(f"mask must be a {ACCEPTED} file; it has 0 bytes") from None
    except InvalidImageError as error:
        raise InvalidMaskError(f"mask cannot be read: {error.message}") from error
    mask = _read_colour(raster, lossy=raster.is_lossy)
    return mask if raster.valid is None else mask & raster.valid


def check_mask_fits(mask: NDArray[np.bool_], size: tuple[int, int]) -> None:
    """Hold a mask to the size of its image.

    Args:
        mask: bool (H, W).
        size: the image's height and width.

    Raises:
        InvalidMaskError: if they differ.
    """
    if mask.shape != size:
        raise InvalidMaskError(
            "mask must have the image's height and width; "
            f"image is {size[0]}×{size[1]}, mask is {mask.shape[0]}×{mask.shape[1]}"
        )


def _read_colour(raster: Raster, *, lossy: bool) -> NDArray[np.bool_]:
    values = raster.values
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise InvalidMaskError("mask must hold numbers; it holds NaN")
    if lossy:
        values = values >= _LOSSY_THRESHOLD
    first = values[:, :, :1]
    if raster.channels not in (1, 3, 4) or (raster.channels > 1 and (values != first).any()):
        raise InvalidMaskError(
            f"mask must have one channel, or equal ones; it has {raster.channels} that differ"
        )
    if raster.is_binary and values.size > _COPIED_PIXELS and values.max() <= 1:
        return values[:, :, 0].view(np.bool_)
    # Stored values count, not brightness: tifffile, for one, stores bool masks as white-is-zero.
    zero = raster.full_scale if raster.white_is_zero else 0
    return np.asarray(first[:, :, 0] != zero, np.bool_)
