"""Images, label maps and masks from files, with the values that the files store.

What counts as valid is what the server takes for it: alpha above 0, not the no-data value in all
channels, and every channel finite.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import TiffFile, TiffPage

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")
MAP_SUFFIXES = (".png", ".tif", ".tiff", ".npy")

# What is wrong with a file is told by the error; tifffile would log it besides.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_DECODER_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    SyntaxError,
    LookupError,
    TypeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_PNG_DEPTH_OFFSET = 24
_ORIENTATION_TAG = 274
_NODATA_TAG = 42113
_MINISWHITE, _PALETTE = 0, 3
_ALPHA = (1, 2)
_LOSSY_THRESHOLD = 128
# Rows and columns read forwards or backwards, after 5 to 8 have swapped them.
_TURNS = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}


class UnreadableError(ValueError):
    """A file that cannot be taken for what it should be."""


class Raster(NamedTuple):
    """An image as its file holds it.

    Attributes:
        values: (H, W, C), uint8, uint16, float32 or another number type.
        valid: bool (H, W).
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_]


def read_image(data: bytes, suffix: str, nodata: float | None = None) -> Raster:
    """Decode an image.

    Args:
        data: the file.
        suffix: one of `IMAGE_SUFFIXES`: how it is encoded.
        nodata: a pixel that holds this in all its channels is missing; may be NaN.

    Raises:
        UnreadableError: if it is damaged or of a kind that is not read.
    """
    with _refuse_damage():
        values, valid, own_nodata = _READERS[suffix](data)
        if values.dtype.kind not in "biuf" or values.size == 0:
            raise UnreadableError(f"must hold real numbers; it holds {values.dtype} {values.shape}")
        values = _narrow(values)
        for value in (nodata, own_nodata):
            if value is not None:
                valid = valid & ~_equals(values, value)
        if values.dtype.kind == "f":
            valid = valid & np.isfinite(values).all(axis=2)
        return Raster(values, valid)


def read_labels(data: bytes, suffix: str) -> NDArray[Any]:
    """Decode a label map: palette indices, grey values or integers as they are stored.

    Args:
        data: the file.
        suffix: one of `MAP_SUFFIXES`.

    Returns:
        integer (H, W).

    Raises:
        UnreadableError: if it is damaged, coloured or holds fractions.
    """
    with _refuse_damage():
        values = _read_stored(data, suffix)
        if values.ndim != 2:
            raise UnreadableError(f"labels must have one channel; there are {values.shape[2]}")
        if values.dtype.kind not in "biu" or values.size == 0:
            raise UnreadableError(f"labels must be whole numbers; they are {values.dtype}")
        return values.astype(np.uint8) if values.dtype.kind == "b" else values


def read_mask(data: bytes, suffix: str) -> NDArray[np.bool_]:
    """Decode a mask: every value but 0 means valid.

    Args:
        data: the file.
        suffix: one of `IMAGE_SUFFIXES`; in a JPEG, which is lossy, 128 and more means valid.

    Returns:
        bool (H, W), True = valid.

    Raises:
        UnreadableError: if it is damaged, or has channels that differ.
    """
    with _refuse_damage():
        if suffix in MAP_SUFFIXES:
            values = _read_stored(data, suffix)
            values = values if values.ndim == 3 else values[:, :, None]
        else:
            values = _READERS[suffix](data)[0] >= _LOSSY_THRESHOLD
        if (values != values[:, :, :1]).any():
            raise UnreadableError(
                f"a mask must have one channel, or equal ones; it has {values.shape[2]} that differ"
            )
        return np.asarray(values[:, :, 0] != 0)


@contextmanager
def _refuse_damage() -> Iterator[None]:
    """Turn whatever a decoder raises into one error; damage shows in errors of every class."""
    try:
        yield
    except UnreadableError:
        raise
    except _DECODER_ERRORS as error:
        raise UnreadableError(
            "cannot be decoded; it is damaged or not what its name says"
        ) from error


def _read_picture(data: bytes) -> tuple[NDArray[Any], NDArray[np.bool_], None]:
    with Image.open(BytesIO(data)) as image:
        if getattr(image, "is_animated", False):
            raise UnreadableError("must hold one image; it is animated")
        image.load()
        turn = image.getexif().get(_ORIENTATION_TAG, 1)
        if image.format == "PNG" and data[_PNG_DEPTH_OFFSET] == 16:
            values = imagecodecs.png_decode(data)  # Pillow narrows 16-bit colour to 8 bits
        else:
            values = np.asarray(_to_plain_mode(image))
    values = values[:, :, None] if values.ndim == 2 else values
    valid = np.ones(values.shape[:2], np.bool_)
    if values.shape[2] in (2, 4):
        values, valid = values[:, :, :-1], values[:, :, -1] > 0
    return _turn(values, turn), _turn(valid, turn), None


def _to_plain_mode(image: Image.Image) -> Image.Image:
    if image.mode in ("1", "L"):
        return image.convert("LA" if "transparency" in image.info else "L")
    if image.mode in ("P", "RGB"):
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "RGBA"):
        return image
    raise UnreadableError(f"must be grey or RGB; it is {image.mode}")


def _turn(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Bring an image upright as EXIF's tag 274 says."""
    if orientation not in _TURNS:
        return array
    rows, columns = _TURNS[orientation]
    return (array.swapaxes(0, 1) if orientation >= 5 else array)[::rows, ::columns]


def _read_tiff(data: bytes) -> tuple[NDArray[Any], NDArray[np.bool_], float | None]:
    with TiffFile(BytesIO(data)) as file:
        page = _only_page(file)
        values = _read_samples(page)
        valid = np.ones(values.shape[:2], np.bool_)
        if page.extrasamples and page.extrasamples[-1] in _ALPHA and values.shape[2] > 1:
            values, valid = values[:, :, :-1], values[:, :, -1] > 0
        for other in file.pages:
            if isinstance(other, TiffPage) and other.is_mask and not other.is_reduced:
                valid = valid & (_read_samples(other)[:, :, 0] > 0)
        values = _to_intensities(page, values)
        turn = int(page.tags.valueof(_ORIENTATION_TAG, 1))
        return _turn(values, turn), _turn(valid, turn), _parse_nodata(page)


def _only_page(file: TiffFile) -> TiffPage:
    """Give the page of the image; there may be smaller copies and a mask beside it."""
    pages = [page for page in file.pages if isinstance(page, TiffPage)]
    images = [page for page in pages if not page.is_reduced and not page.is_mask]
    if len(images) != 1:
        raise UnreadableError(f"must hold one image; it holds {len(images)}")
    return images[0]


def _read_samples(page: TiffPage) -> NDArray[Any]:
    """Samples (H, W, S), whether they were stored by pixel or by plane."""
    planes: NDArray[Any] = page.asarray(squeeze=False, maxworkers=1)[:, 0]
    height, width = planes.shape[1:3]
    return np.moveaxis(planes, 0, 2).reshape(height, width, -1)


def _to_intensities(page: TiffPage, values: NDArray[Any]) -> NDArray[Any]:
    """Give values of which more means brighter, spread over 8 or 16 bits if they are integers."""
    kind = int(page.photometric)
    if kind == _PALETTE and page.colormap is not None:
        return np.asarray(page.colormap.T[values[:, :, 0]] >> 8, np.uint8)
    if kind in (5, 6) and page.compression != 7:
        raise UnreadableError("must be grey or RGB; it is CMYK or YCbCr")
    bits = page.bitspersample
    if values.dtype.kind not in "bu" or bits in (32, 64):
        return values
    if bits not in (1, 2, 4, 8, 16):
        raise UnreadableError(f"must have 8 or 16 bits a sample; it has {bits}")
    full_scale = 2**bits - 1
    values = values.astype(np.uint16 if bits == 16 else np.uint8)
    if kind == _MINISWHITE:
        values = (full_scale - values).astype(values.dtype)
    return values * np.uint8(255 // full_scale) if bits < 8 else values


def _parse_nodata(page: TiffPage) -> float | None:
    text = page.tags.valueof(_NODATA_TAG)
    try:
        return None if text is None else float(str(text).strip("\0 "))
    except ValueError:
        return None


def _read_npy(data: bytes) -> tuple[NDArray[Any], NDArray[np.bool_], None]:
    values = np.load(BytesIO(data), allow_pickle=False)
    if values.ndim not in (2, 3):
        raise UnreadableError(f"must be of shape (H, W) or (H, W, C); it is {values.shape}")
    values = values[:, :, None] if values.ndim == 2 else values
    return values, np.ones(values.shape[:2], np.bool_), None


_READERS: dict[str, Any] = {
    ".png": _read_picture,
    ".jpg": _read_picture,
    ".jpeg": _read_picture,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".npy": _read_npy,
}


def _read_stored(data: bytes, suffix: str) -> NDArray[Any]:
    """Give what a file stores, palette indices among it: (H, W), or (H, W, C) if C > 1."""
    if suffix == ".png":
        return _read_stored_png(data)
    if suffix == ".npy":
        values = _read_npy(data)[0]
    else:
        with TiffFile(BytesIO(data)) as file:
            values = _read_samples(_only_page(file))
    return values[:, :, 0] if values.shape[2] == 1 else values


def _read_stored_png(data: bytes) -> NDArray[Any]:
    with Image.open(BytesIO(data)) as image:
        values = np.asarray(image)
        depth = data[_PNG_DEPTH_OFFSET]
        # Pillow spreads grey values of 2 and 4 bits over 0..255, which would make 255 of class 3.
        if image.mode == "L" and depth < 8:
            values = values // np.uint8(255 // (2**depth - 1))
        return values


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        return values.astype(values.dtype.newbyteorder("="))
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _equals(values: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    """Tell the pixels that hold the no-data value in all channels, compared in the image's type."""
    if np.isnan(nodata):
        return np.asarray(np.isnan(values).all(axis=2))
    if values.dtype.kind == "f":
        return np.asarray((values == np.float32(nodata)).all(axis=2))
    return np.asarray((values == nodata).all(axis=2))
