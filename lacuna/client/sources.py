"""Images as people have them: files, bytes, arrays and PIL images."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from lacuna.raster.npy import MAGIC, read_npy, write_npy

Image = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any] | PIL.Image.Image
"""A file's path, a file's bytes, an array (H, W) or (H, W, C), or a PIL image."""

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_QUICK = 1
"""The compression of PNG: what is saved on the way by more takes longer than the way."""


def read_source(source: Image) -> bytes:
    """Give an image as the bytes of a file that the server reads.

    Arrays become NPY, so that their numbers are taken as they are. PIL images become PNG, with
    their palette and alpha; those of a mode that PNG has not become the array of their numbers.

    Args:
        source: the image.

    Raises:
        OSError: if a file cannot be read.
        TypeError: if it is none of these.
    """
    if isinstance(source, PIL.Image.Image):
        return _write_picture(source)
    if isinstance(source, np.ndarray):
        return write_npy(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    raise TypeError(
        "an image must be a path, bytes, a NumPy array or a PIL image; "
        f"it is a {type(source).__name__}"
    )


def read_picture(source: Image) -> NDArray[Any]:
    """Give the values of an image, upright, to be looked at.

    Args:
        source: the image.

    Returns:
        (H, W) or (H, W, C), in whatever units the file has.

    Raises:
        LacunaError: if it is none.
        OSError: if a file cannot be read.
    """
    if isinstance(source, np.ndarray):
        return source
    if isinstance(source, PIL.Image.Image):
        return _to_array(source)
    data = read_source(source)
    if data.startswith(MAGIC):
        return read_npy(data)
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            return _to_array(PIL.ImageOps.exif_transpose(picture))
    except (OSError, ValueError):
        # TIFFs of many kinds are beyond Pillow; the server's own readers come with an extra.
        from lacuna.raster.images import decode_image  # noqa: PLC0415
        from lacuna.raster.limits import ImageLimits  # noqa: PLC0415

        return decode_image(data, ImageLimits()).values


def _write_picture(picture: PIL.Image.Image) -> bytes:
    if picture.mode not in _PNG_MODES:
        return write_npy(_to_array(picture))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=_QUICK)
    return buffer.getvalue()


def _to_array(picture: PIL.Image.Image) -> NDArray[Any]:
    if picture.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        picture = picture.convert("RGB")
    return np.asarray(picture)
