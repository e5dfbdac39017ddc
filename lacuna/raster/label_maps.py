"""Label maps from image files: whole numbers as they are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError, UnsupportedMediaTypeError
from lacuna.raster.formats import FORMATS
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import Buffer


def decode_label_map(data: Buffer, limits: ImageLimits) -> NDArray[Any]:
    """Decode a label map: palette indices, grey values or integers as they are stored.

    Args:
        data: a file of a format that stores numbers as they are.
        limits: the largest map that is decoded, checked against the header.

    Returns:
        integer (H, W), upright.

    Raises:
        EmptyBodyError: if there are no bytes.
        UnsupportedMediaTypeError: if it is of a format that cannot hold a label map.
        InvalidImageError: if it is damaged, coloured or holds fractions.
        ImageTooLargeError: if its header exceeds the limits.
    """
    file = ImageFile(data)
    if file.form.stored is None:
        able = ", ".join(other.name for other in FORMATS if other.stored)
        raise UnsupportedMediaTypeError(f"labels must be one of {able}; they are {file.form.name}")
    values = file.decode_stored(limits)
    if values.shape[2] != 1:
        raise InvalidImageError(f"labels must have one channel; there are {values.shape[2]}")
    if values.dtype.kind not in "biu":
        raise InvalidImageError(f"labels must be whole numbers; they are {values.dtype}")
    labels: NDArray[Any] = values[:, :, 0]
    return labels.astype(np.uint8) if labels.dtype.kind == "b" else labels
