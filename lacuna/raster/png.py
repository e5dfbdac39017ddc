"""PNG: any depth and colour type, at full depth."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import imagecodecs

from lacuna.errors import InvalidImageError
from lacuna.raster.damage import decoder_errors
from lacuna.raster.limits import ImageLimits, check_size
from lacuna.raster.orientation import read_orientation, turn_upright
from lacuna.raster.raster import Raster, split_alpha

_SIGNATURE_BYTES = 8
_CHANNELS_OF_COLOUR_TYPE = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


def decode_png(data: bytes, limits: ImageLimits) -> Raster:
    """Decode a PNG file.

    Decoded by libpng and not by Pillow, which narrows 16-bit colour to 8 bits.

    Args:
        data: the file; 1, 2 and 4-bit samples are spread over 0..255 and palettes looked up.
        limits: the largest image that is decoded.

    Returns:
        uint8 or uint16 of 1 or 3 channels; alpha, a transparent palette entry or a colour key
        becomes `valid`.

    Raises:
        InvalidImageError: if the file is damaged, cut short, or animated.
        ImageTooLargeError: if its header exceeds the limits.
    """
    _check_header(data, limits)
    with decoder_errors("PNG"):
        chunks = dict(_read_chunks(data))
        if b"acTL" in chunks:
            raise InvalidImageError("PNG must hold one image; it is animated")
        values, valid = split_alpha(imagecodecs.png_decode(data))
        raster = Raster(values, valid, 255.0 if values.dtype.itemsize == 1 else 65535.0)
        return turn_upright(raster, read_orientation(chunks.get(b"eXIf", b"")))


def _check_header(data: bytes, limits: ImageLimits) -> None:
    with decoder_errors("PNG"):
        kind, width, height, _, colour_type = struct.unpack_from(">4sIIBB", data, 12)
        if kind != b"IHDR":
            raise InvalidImageError("PNG must begin with its header chunk; it does not")
        check_size(limits, height, width, _CHANNELS_OF_COLOUR_TYPE[colour_type])


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
