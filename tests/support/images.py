"""Image files built from known arrays, by libraries and by hand."""

from __future__ import annotations

import io
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> NDArray[Any]:
    """Random values over the whole range of an integer dtype, or normal ones of a float dtype."""
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return generator.normal(size=shape).astype(dtype)
    bounds = np.iinfo(dtype)
    return generator.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)


def smooth(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """Ramps that lossy formats keep within a few levels."""
    rows, columns = np.mgrid[:height, :width]
    ramps = [40 + 3 * rows + columns, 200 - 2 * columns, 90 + rows][:channels]
    return np.clip(np.stack(ramps, axis=2), 0, 255).astype(np.uint8)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """A file that Pillow writes."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def picture_file(values: NDArray[Any], kind: str, **options: Any) -> bytes:
    """A file that Pillow writes of uint8 (H, W) or (H, W, C)."""
    return saved(Image.fromarray(values), kind, **options)


def tiff_file(values: NDArray[Any], **options: Any) -> bytes:
    """A file that tifffile writes."""
    buffer = io.BytesIO()
    options.setdefault("metadata", None)
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def npy_file(values: NDArray[Any], version: tuple[int, int] | None = None) -> bytes:
    """A file that NumPy writes."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, values, version)
    return buffer.getvalue()


def npy_header(text: str) -> bytes:
    """The beginning of an NPY file, version 1, with any header text."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk with its checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_file(
    height: int, width: int, depth: int, colour_type: int, rows: list[bytes], *extra: bytes
) -> bytes:
    """A PNG made by hand: packed rows, unfiltered, with further chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        PNG_SIGNATURE
        + png_chunk(b"IHDR", header)
        + b"".join(extra)
        + png_chunk(b"IDAT", pixels)
        + png_chunk(b"IEND", b"")
    )


def exif_orientation(value: int) -> bytes:
    """An EXIF blob that says only which way is up."""
    exif = Image.Exif()
    exif[274] = value
    return exif.tobytes()


def skimage_file(name: str) -> Path:
    """A file of those that come with scikit-image."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("scikit-image must be installed; it is not")
    return Path(spec.origin).parent / "data" / name
