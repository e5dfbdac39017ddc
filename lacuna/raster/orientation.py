"""Orientation of pictures: cameras store them as the sensor lay, and EXIF says how to turn them."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.raster.ifd import read_directories
from lacuna.raster.raster import Raster

ORIENTATION_TAG = 274

_STEPS = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""Steps along rows and columns, forwards or backwards, after 5 to 8 have swapped them."""

_SWAPPED = 5


def read_orientation(exif: bytes) -> int:
    """Read the orientation from an EXIF blob.

    Read here and not by Pillow, which warns (a process-wide act) where the blob is damaged.

    Args:
        exif: with or without the leading "Exif" that JPEG puts before it.

    Returns:
        1 to 8; 1, as it is, where the blob is damaged or does not say.
    """
    blob = exif.removeprefix(b"Exif\0\0")
    try:
        first = next(read_directories(blob), None)
    except (ValueError, struct.error):
        return 1
    return first.numbers.get(ORIENTATION_TAG, 1) if first else 1


def turn_upright(raster: Raster, orientation: int) -> Raster:
    """Turn and mirror an image as EXIF's tag 274 says; a value it does not define changes nothing.

    Args:
        raster: as stored.
        orientation: 1 to 8.
    """
    if orientation not in _STEPS:
        return raster
    return replace(
        raster,
        values=turn(raster.values, orientation),
        valid=None if raster.valid is None else turn(raster.valid, orientation),
        has_data=None if raster.has_data is None else turn(raster.has_data, orientation),
        stored=None if raster.stored is None else turn(raster.stored, orientation),
        is_turned=orientation >= _SWAPPED,
        georeference=None,  # it places the stored rows and columns
    )


def turn(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror an array as EXIF's tag 274 says.

    Args:
        array: (H, W, …).
        orientation: 1 to 8; a value that EXIF does not define changes nothing.
    """
    if orientation not in _STEPS:
        return array
    rows, columns = _STEPS[orientation]
    upright = array.swapaxes(0, 1) if orientation >= _SWAPPED else array
    return np.ascontiguousarray(upright[::rows, ::columns])
