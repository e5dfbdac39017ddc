"""Images that the client takes: files, bytes, arrays and PIL images."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lacuna.raster.images import decode_image
from lacuna.raster.limits import UNLIMITED
from lacuna.raster.npy import write_npy
from lacuna.raster.pillow import decode_for_display, to_array

Image = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any] | PIL.Image.Image
"""A file's path, a file's bytes, an array (H, W) or (H, W, C), or a PIL image."""

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_QUICK = 1
"""PNG compression level. Higher levels take longer than sending the bytes that they save."""


def read_source(source: Image) -> bytes:
    """Return an image as the bytes of a file that the server reads.

    Arrays become NPY, which keeps their values. PIL images become PNG with their palette and alpha;
    those in a mode that PNG lacks become NPY.

    Args:
        source: the image.

    Raises:
        OSError: if a file cannot be read.
        TypeError: if it is none of these types.
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
    """Return the values of an image, upright, for display.

    Args:
        source: the image.

    Returns:
        (H, W) or (H, W, C), in the units of the file.

    Raises:
        LacunaError: if it is not an image.
        OSError: if a file cannot be read.
    """
    if isinstance(source, np.ndarray):
        return source
    if isinstance(source, PIL.Image.Image):
        return to_array(source)
    data = read_source(source)
    try:
        values = decode_image(data, UNLIMITED).values
    except ModuleNotFoundError:
        return decode_for_display(data)
    return values[:, :, 0] if values.shape[2] == 1 else values


def _write_picture(picture: PIL.Image.Image) -> bytes:
    if picture.mode not in _PNG_MODES:
        return write_npy(to_array(picture))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=_QUICK)
    return buffer.getvalue()
