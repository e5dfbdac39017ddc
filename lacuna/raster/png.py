"""PNG: any depth and colour type, at full depth."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from imagecodecs import png_decode
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from lacuna.errors import InvalidImageError
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.damage import decoder_errors
from lacuna.raster.formats import Header
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import Buffer
from lacuna.raster.orientation import read_orientation, turn, turn_upright
from lacuna.raster.raster import Raster
from lacuna.raster.samples import split_picture

_SIGNATURE_BYTES = 8
_DEPTH_OFFSET = 24
_GREY = 0
_TRANSPARENCY_OR_PIXELS = re.compile(rb"tRNS|IDAT")
_CHANNELS_OF_COLOUR_TYPE = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


def decode_png(data: bytes, _: ImageLimits, bands: BandSelection = EVERY_BAND) -> Raster:
    """Decode a PNG file.

    Decoded by libpng and not by Pillow, which narrows 16-bit colour to 8 bits.

    Args:
        data: the file, whose header was checked; 1, 2 and 4-bit samples are spread over 0..255 and
            palettes looked up.
        bands: bands that are wanted.

    Returns:
        uint8 or uint16; alpha, a transparent palette entry or a colour key becomes `valid`.

    Raises:
        InvalidImageError: if the file is damaged, cut short, or animated.
    """
    with decoder_errors("PNG"):
        chunks = _read_whole(data)
        values, valid, choice = split_picture(png_decode(data), bands)
        white = 255.0 if values.dtype.itemsize == 1 else 65535.0
        raster = Raster(values, valid, white, bands=choice)
        return turn_upright(raster, read_orientation(chunks.get(b"eXIf", b"")))


def decode_stored_png(data: bytes, _: ImageLimits) -> NDArray[Any]:
    """Decode the numbers of a PNG as they are stored: palette indices, greys of any depth.

    Args:
        data: the file, whose header was checked.

    Returns:
        uint8 or uint16 (H, W, C).

    Raises:
        InvalidImageError: if the file is damaged, cut short, or animated.
    """
    with decoder_errors("PNG"):
        chunks = _read_whole(data)
        depth, colour_type = data[_DEPTH_OFFSET], data[_DEPTH_OFFSET + 1]
        # The plugin's class, not Image.open: that has a limit on pixels of its own, and warns.
        with PngImageFile(BytesIO(data)) as picture:
            values = np.asarray(picture)
        # Pillow spreads greys of 2 and 4 bits over 0..255, which would make 255 of class 3.
        if colour_type == _GREY and 1 < depth < 8:
            values = values // np.uint8(255 // (2**depth - 1))
        values = values.astype(np.uint8) if values.dtype == np.bool_ else values
        orientation = read_orientation(chunks.get(b"eXIf", b""))
        return turn(np.atleast_3d(values), orientation)


def read_png_header(data: Buffer) -> Header:
    """Read the size of the image from the header chunk.

    Raises:
        InvalidImageError: if there is no header chunk.
    """
    kind, width, height, depth, colour_type = struct.unpack_from(">4sIIBB", data, 12)
    if kind != b"IHDR":
        raise InvalidImageError("PNG must begin with its header chunk; it does not")
    channels, sample_bytes = _CHANNELS_OF_COLOUR_TYPE[colour_type], 2 if depth == 16 else 1
    # Transparent colours are decoded as alpha, which is then parted from them.
    first = _TRANSPARENCY_OR_PIXELS.search(data)
    is_transparent = first is not None and first[0] == b"tRNS"
    extra_bytes = 2 * height * width * sample_bytes if is_transparent else 0
    return Header(height, width, channels, sample_bytes, extra_bytes)


def _read_whole(data: bytes) -> dict[bytes, bytes]:
    """Read the chunks of a file that is whole and holds one image."""
    chunks = dict(_read_chunks(data))
    if b"acTL" in chunks:
        raise InvalidImageError("PNG must hold one image; it is animated")
    return chunks


def _read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk the chunks and hold them to their checksums, which libpng forgives in part.

    Yields:
        type and contents, the contents of all but EXIF left out.

    Raises:
        ValueError: if a chunk is damaged, or the last one is missing.
        struct.error: likewise.
    """
    view = memoryview(data)
    position = _SIGNATURE_BYTES
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[position + 4 : end]) != checksum:
            raise ValueError(f"chunk {kind!r} does not match its checksum")
        yield kind, bytes(view[position + 8 : end]) if kind == b"eXIf" else b""
        position = end + 4
