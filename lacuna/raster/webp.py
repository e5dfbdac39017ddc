"""WebP: lossy or lossless, with or without alpha."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from imagecodecs import webp_decode

from lacuna.errors import InvalidImageError
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.damage import decoder_errors
from lacuna.raster.formats import Header
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import Buffer
from lacuna.raster.orientation import read_orientation, turn_upright
from lacuna.raster.raster import Raster
from lacuna.raster.samples import split_picture


def decode_webp(data: bytes, _: ImageLimits, bands: BandSelection = EVERY_BAND) -> Raster:
    """Decode a WebP file.

    Args:
        data: the file, whose header was checked.
        bands: bands that are wanted.

    Returns:
        uint8; alpha becomes `valid`.

    Raises:
        InvalidImageError: if the file is damaged, cut short, or animated.
    """
    with decoder_errors("WebP"):
        chunks = list(_read_chunks(data))
        if any(kind in (b"ANIM", b"ANMF") for kind, _ in chunks):
            raise InvalidImageError("WebP must hold one image; it is animated")
        values, valid, choice = split_picture(webp_decode(data), bands)
        is_lossy = any(kind == b"VP8 " for kind, _ in chunks)
        raster = Raster(values, valid, 255.0, is_lossy=is_lossy, bands=choice)
        return turn_upright(raster, read_orientation(dict(chunks).get(b"EXIF", b"")))


def read_webp_header(data: Buffer) -> Header:
    """Read the size of the image: the largest that the canvas or any frame declares.

    Raises:
        ValueError: if no chunk declares a size, or one ends beyond the data.
        struct.error: likewise.
    """
    height, width = max(_read_sizes(list(_read_chunks(data))), key=lambda size: size[0] * size[1])
    return Header(height, width, 4)


def _read_chunks(data: Buffer) -> Iterator[tuple[bytes, bytes]]:
    """Walk the RIFF chunks.

    Yields:
        type and contents, of which only the first 10 bytes but for EXIF.

    Raises:
        ValueError: if a chunk, or the whole, ends beyond the data.
        struct.error: likewise.
    """
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise ValueError(f"the file must have {end} bytes; it has {len(data)}")
    position = 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        start = position + 8
        if start + length > end:
            raise ValueError(f"chunk {kind!r} ends beyond the file")
        kept = length if kind == b"EXIF" else min(length, 10)
        yield kind, bytes(data[start : start + kept])
        position = start + length + length % 2


def _read_sizes(chunks: list[tuple[bytes, bytes]]) -> Iterator[tuple[int, int]]:
    """Height and width of the canvas and of every frame: they must agree, but need not."""
    for kind, head in chunks:
        if kind == b"VP8X":
            yield 1 + int.from_bytes(head[7:10], "little"), 1 + int.from_bytes(head[4:7], "little")
        elif kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 1)
            yield 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 6)
            yield height & 0x3FFF, width & 0x3FFF
