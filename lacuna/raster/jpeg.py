"""JPEG: grey, RGB, CMYK and YCCK."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile

from lacuna.errors import InvalidImageError
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.damage import decoder_errors
from lacuna.raster.formats import Header
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import Buffer
from lacuna.raster.orientation import read_orientation, turn_upright
from lacuna.raster.raster import Raster
from lacuna.raster.samples import split_picture

MAX_SCANS = 100
"""Passes over a progressive picture; encoders make about ten, a hostile file thousands, each of
which costs time for the whole picture and no bytes to speak of."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FIRST_WITH_LENGTH = 0xC0
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker among pixels, in which 0xff is followed by 0, by itself or by a restart marker."""
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_EXIF_SEGMENT = 0xE1
_TAKEN_SEGMENTS = frozenset({0xE0, 0xEE})
"""JFIF and Adobe: the application segments that say how colours are coded."""
_APPLICATION_SEGMENTS = frozenset(range(0xE0, 0xF0))


@dataclass(frozen=True)
class Frame:
    """Frame header of a JPEG: sizes in pixels, precision in bits."""

    height: int
    width: int
    components: int
    precision: int


def read_frame(data: Buffer, start: int = 0) -> Frame:
    """Find the frame header.

    Args:
        data: a JPEG stream.
        start: where it begins in the data.

    Raises:
        ValueError: if no frame header comes before the first scan.
        struct.error: if the data end too early.
    """
    for marker, begin, _ in _read_segments(data, start):
        if marker in _FRAMES:
            precision, height, width, components = struct.unpack_from(">BHHB", data, begin + 4)
            return Frame(height, width, components, precision)
    raise ValueError("no frame header before the first scan")


def read_jpeg_header(data: Buffer) -> Header:
    """Read the size of the image from the frame header; see `read_frame`."""
    frame = read_frame(data)
    return Header(frame.height, frame.width, frame.components, 1 if frame.precision <= 8 else 2)


def count_scans(data: bytes, start: int, end: int) -> int:
    """Count the scans of a JPEG stream, up to the end of its image: phones put videos behind that.

    Args:
        data: holds the stream.
        start: where it begins in the data.
        end: where the data of the stream end.

    Returns:
        At least as many as libjpeg decodes; no more than that if they exceed `MAX_SCANS`.
    """
    found = data.count(b"\xff\xda", start, end)
    if found <= MAX_SCANS:
        return found
    scans, position = 0, start + 2
    while match := _MARKER.search(data, position, end):
        position = match.end()
        marker = data[position - 1]
        if marker == _END_OF_IMAGE:
            break
        scans += marker == _START_OF_SCAN
        # libjpeg passes over reserved markers in search of a restart, and knows no length of them.
        if marker >= _FIRST_WITH_LENGTH and marker not in _STANDALONE:
            position += int.from_bytes(data[position : position + 2], "big")
    return scans


def _read_segments(data: Buffer, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """Walk the segments before the first scan: marker, begin and end."""
    position = start + 2
    while True:
        lead, marker = struct.unpack_from("BB", data, position)
        if lead != 0xFF:
            raise ValueError("a marker must begin with 0xff")
        if marker == _START_OF_SCAN:
            return
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        end = position + 2 + int(struct.unpack_from(">H", data, position + 2)[0])
        yield marker, position, end
        position = end


def decode_jpeg(data: bytes, _: ImageLimits, bands: BandSelection = EVERY_BAND) -> Raster:
    """Decode a JPEG file; of several pictures in one (MPO) the first, which is the main one.

    Args:
        data: the file, whose header was checked.
        bands: bands that are wanted, of 1 where it is grey, else of 3.

    Returns:
        uint8.

    Raises:
        InvalidImageError: if the file is damaged or cut short, or not of 8-bit samples.
    """
    with decoder_errors("JPEG"):
        frame = read_frame(data)
        if frame.precision != 8:
            raise InvalidImageError(
                f"JPEG must have 8 bits per sample; it has {frame.precision} bits"
            )
        scans = count_scans(data, 0, len(data))
        if scans > MAX_SCANS:
            raise InvalidImageError(f"JPEG must have at most {MAX_SCANS} scans; it has {scans}")
        values, valid, choice = split_picture(_decode_pixels(data, frame), bands)
        raster = Raster(values, valid, 255.0, is_lossy=True, bands=choice)
        return turn_upright(raster, read_orientation(_find_exif(data)))


def _decode_pixels(data: bytes, frame: Frame) -> NDArray[np.uint8]:
    # The plugin's class, not Image.open: that has a limit on pixels of its own, and warns.
    with JpegImageFile(BytesIO(_without_metadata(data))) as picture:
        if picture.size != (frame.width, frame.height):
            raise ValueError("a second frame header gives another size")
        colours = picture if picture.mode == "L" else picture.convert("RGB")
        return np.array(colours).reshape(frame.height, frame.width, -1)


def _without_metadata(data: bytes) -> bytes:
    """Leave out what the plugin would read, and warn of, before the pixels: EXIF, MPO, XMP."""
    kept, taken = [], 0
    for marker, begin, end in _read_segments(data):
        if marker in _APPLICATION_SEGMENTS - _TAKEN_SEGMENTS:
            kept.append(data[taken:begin])
            taken = end
    return b"".join([*kept, data[taken:]])


def _find_exif(data: bytes) -> bytes:
    for marker, begin, end in _read_segments(data):
        if marker == _EXIF_SEGMENT and data.startswith(b"Exif\0\0", begin + 4):
            return data[begin + 4 : end]
    return b""
