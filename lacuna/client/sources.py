"""Images that the client takes: files, bytes, arrays and PIL images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lacuna.client.arrays import fill_missing, is_masked, read_image_array
from lacuna.client.labelled import LabelledArray, is_labelled, order_channels_last
from lacuna.client.pictures import write_picture
from lacuna.errors import EmptyBodyError
from lacuna.raster.images import decode_image
from lacuna.raster.limits import UNLIMITED
from lacuna.raster.npy import Buffer, write_npy
from lacuna.raster.pillow import decode_for_display, to_array


class BinaryFile(Protocol):
    """A file that is open for reading bytes."""

    def read(self) -> bytes:
        """Return the bytes from the current position to the end."""
        ...


Image = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | NDArray[Any]
    | PIL.Image.Image
    | LabelledArray
)
"""A file's path, URL or bytes, an open file, an array (H, W) or (H, W, C) of NumPy or xarray, or a
PIL image."""


def read_source(source: Image) -> Buffer:
    """Return an image as the bytes of a file that the server reads.

    Arrays become NPY, which keeps their values. PIL images become PNG with their palette and alpha;
    those of 32-bit numbers become NPY.

    Args:
        source: the image; an array must not be a masked one.

    Raises:
        OSError: if a file cannot be read.
    """
    if isinstance(source, PIL.Image.Image):
        return write_picture(source)
    if isinstance(source, np.ndarray):
        return write_npy(source)
    if isinstance(source, bytearray | memoryview):
        return memoryview(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    return source if isinstance(source, bytes) else read_file(source)


def read_file(source: BinaryFile | LabelledArray) -> bytes:
    """Return the rest of an open file.

    Raises:
        TypeError: if it is not a file, or yields text.
        EmptyBodyError: if nothing is left to read.
    """
    if not hasattr(source, "read"):
        hint = ": numpy.asarray makes an array of it" if hasattr(source, "__array__") else ""
        raise TypeError(
            "an image must be a path, bytes, an open file, a NumPy array or a PIL image; "
            f"it is a {type(source).__name__}{hint}"
        )
    content = source.read()
    if not isinstance(content, bytes):
        raise TypeError(
            f"a file must be open for reading bytes; reading it gives a {type(content).__name__}"
        )
    if not content:
        raise EmptyBodyError("an open file must stand before its content; nothing is left to read")
    return content


def check_bytes(source: memoryview) -> None:
    """Hold a buffer to be bytes.

    Raises:
        TypeError: if it is a view of numbers, such as those of an array.
    """
    if source.ndim != 1 or source.itemsize != 1:
        raise TypeError(
            "a memoryview must be of the bytes of a file; "
            f"it has {source.ndim} axes of {source.format!r}: numpy.asarray makes an array of it"
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
        return _read_array(source)
    if isinstance(source, PIL.Image.Image):
        return to_array(source)
    if is_labelled(source):
        return order_channels_last(source).values
    data = bytes(read_source(source))
    try:
        values = decode_image(data, UNLIMITED).values
    except ModuleNotFoundError:
        return decode_for_display(data)
    return values[:, :, 0] if values.shape[2] == 1 else values


def _read_array(array: NDArray[Any]) -> NDArray[Any]:
    if not is_masked(array):
        return array
    values, valid = read_image_array(array)
    return values if valid is None else fill_missing(values, valid)
