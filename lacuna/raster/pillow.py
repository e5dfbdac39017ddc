"""Pictures decoded by Pillow, for display, where the extra `formats` is not installed.

Pillow narrows 16-bit colours to 8 bits and reads few kinds of TIFF, so nothing else uses it.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from lacuna.raster.damage import decoder_errors


def decode_for_display(data: bytes) -> NDArray[Any]:
    """Decode a picture, upright.

    Args:
        data: file of a format that Pillow reads.

    Returns:
        (H, W) or (H, W, C), mostly uint8.

    Raises:
        InvalidImageError: if Pillow cannot decode it.
    """
    with decoder_errors("picture"), PIL.Image.open(BytesIO(data)) as picture:
        return to_array(PIL.ImageOps.exif_transpose(picture))


def to_array(picture: PIL.Image.Image) -> NDArray[Any]:
    """Return the values of a PIL image, palettes and inks as RGB.

    Args:
        picture: image of any mode.
    """
    if picture.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        picture = picture.convert("RGB")
    return np.asarray(picture)
