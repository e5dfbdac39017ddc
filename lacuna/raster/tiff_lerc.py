"""LERC in TIFF: Limited Error Raster Compression, alone or inside Deflate or Zstandard.

tifffile has a decoder, too, but it leaves out the masks that LERC keeps beside its numbers: NaN
would become 0. It also inflates whatever a file holds.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from imagecodecs import lerc_decode, zstd_decode
from numpy.typing import NDArray
from tifffile import TiffPage

LERC = 34887

_PARAMETERS = 50674
_PLAIN, _DEFLATE, _ZSTANDARD = 0, 1, 2
_MAGIC = b"Lerc2 "
_FIRST_WITH_CHECKSUM, _FIRST_WITH_BANDS = 3, 4
_SLACK_BYTES = 1 << 16


class _Blob(NamedTuple):
    """Size of what a blob holds, by its header."""

    height: int
    width: int
    bands: int
    size_bytes: int


def read_lerc_samples(page: TiffPage, data: bytes) -> NDArray[Any]:
    """Decode the samples of a page.

    Args:
        page: its header, which was checked.
        data: the whole file.

    Returns:
        (separate samples, H, W, contiguous samples); NaN where a mask of LERC has no value.

    Raises:
        ValueError: if a strip or tile is damaged, or larger than it should be.
    """
    _, packing = page.tags.valueof(_PARAMETERS, (0, _PLAIN))
    samples = np.full(page.shaped, page.nodata, page.dtype)
    for index, (start, length) in enumerate(
        zip(page.dataoffsets, page.databytecounts, strict=True)
    ):
        if not length:
            continue
        _, (plane, depth, top, left, _), shape = page.decode(None, index)
        if depth or shape[0] != 1:
            raise ValueError("a volume cannot be read")
        segment = _decode(data[start : start + length], packing, shape[1:], samples.dtype)
        room = samples[plane, 0, top:, left:][: len(segment), : segment.shape[1]]
        room[...] = segment[: len(room), : room.shape[1]]
    return samples[:, 0]


def _decode(
    content: bytes, packing: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Decode a strip or tile of at most a shape (H, W, S)."""
    most_bytes = 2 * int(np.prod(shape)) * dtype.itemsize + _SLACK_BYTES
    content = _unpack(content, packing, most_bytes)
    blob = _read_header(content)
    if blob.height > shape[0] or blob.width > shape[1] or blob.bands > shape[2]:
        raise ValueError("a strip or tile of LERC is larger than it should be")
    values, valid = lerc_decode(content[: blob.size_bytes], masks=True)
    values = values.reshape(blob.height, blob.width, blob.bands)
    if blob.bands == shape[2] - 1 and dtype.kind == "u":
        # libtiff writes alpha that is 0 or full as the mask of the other samples.
        alpha = np.full(values.shape[:2], np.iinfo(dtype).max, dtype)
        values = np.dstack([values, alpha])
    if values.shape[2] != shape[2] or values.dtype != dtype:
        raise ValueError("a strip or tile of LERC has not the samples that it should have")
    if valid is not None:
        missing = np.broadcast_to(~valid.reshape(*values.shape[:2], -1), values.shape)
        values = np.where(missing, np.nan if dtype.kind == "f" else 0, values).astype(dtype)
    return values


def _unpack(content: bytes, packing: int, most_bytes: int) -> bytes:
    if packing == _PLAIN:
        return content
    if packing == _DEFLATE:
        return zlib.decompressobj().decompress(content, most_bytes)
    if packing == _ZSTANDARD:
        return bytes(zstd_decode(content, out=most_bytes))
    raise ValueError("LERC must be alone, or inside Deflate or Zstandard")


def _read_header(content: bytes) -> _Blob:
    """Read the header of a blob, whose fields depend on its version."""
    if not content.startswith(_MAGIC):
        raise ValueError("a strip or tile of LERC must be of its second version")
    (version,) = struct.unpack_from("<i", content, len(_MAGIC))
    position = len(_MAGIC) + (8 if version >= _FIRST_WITH_CHECKSUM else 4)
    fields = 6 if version >= _FIRST_WITH_BANDS else 5
    height, width, *bands, _, _, size_bytes = struct.unpack_from(f"<{fields}i", content, position)
    return _Blob(height, width, bands[0] if bands else 1, size_bytes)
