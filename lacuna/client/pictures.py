"""PIL images as files that the server reads."""

from __future__ import annotations

import io
from types import MappingProxyType

import numpy as np
import PIL.Image

from lacuna.raster.npy import write_npy

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_NUMBERS = frozenset({"I", "F"})
"""Modes whose values are numbers rather than intensities, as in arrays."""

_MODES_WITH_ALPHA = MappingProxyType({"La": "LA", "PA": "RGBA", "RGBa": "RGBA"})
_QUICK = 1
"""PNG compression level. Higher levels take longer than sending the bytes that they save."""


def write_picture(picture: PIL.Image.Image) -> bytes:
    """Write the current frame of a PIL image as PNG, with its palette, alpha or transparent colour.

    Its orientation is not written: the answer must fit the image as it is. Modes that PNG lacks are
    converted; 32-bit numbers become NPY.

    Args:
        picture: image of any mode.
    """
    if picture.mode in _NUMBERS:
        return write_npy(np.asarray(picture))
    buffer = io.BytesIO()
    _convert(picture).save(buffer, "PNG", compress_level=_QUICK)
    return buffer.getvalue()


def _convert(picture: PIL.Image.Image) -> PIL.Image.Image:
    if picture.mode in _PNG_MODES:
        return picture
    if picture.mode.startswith("I;16"):
        converted = PIL.Image.fromarray(np.asarray(picture).astype(np.uint16))
        converted.info = picture.info
        return converted
    return picture.convert(_MODES_WITH_ALPHA.get(picture.mode, "RGB"))
