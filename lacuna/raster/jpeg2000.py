"""JPEG 2000: JP2 files and bare codestreams (ISO/IEC 15444-1, annexes A and I)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from imagecodecs import jpeg2k_decode
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError
from lacuna.georeference import GeoTiffTags
from lacuna.raster.bands import EVERY_BAND, BandSelection, choose_bands
from lacuna.raster.codestream import START, Codestream, read_codestream
from lacuna.raster.damage import decoder_errors
from lacuna.raster.formats import Header
from lacuna.raster.geotiff import read_embedded_georeference
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import Buffer
from lacuna.raster.raster import Raster, make_raster
from lacuna.raster.samples import take_bands

_GEOJP2 = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
"""Identifier of the box that holds a GeoTIFF without an image."""

_ALPHA_TYPES = (1, 2)
_MAX_BITS = 16


def decode_jpeg2000(data: bytes, _: ImageLimits, bands: BandSelection = EVERY_BAND) -> Raster:
    """Decode a JPEG 2000 file.

    Args:
        data: the file, whose header was checked.
        bands: bands that are wanted.

    Returns:
        The components as they are; alpha becomes `valid`.

    Raises:
        InvalidImageError: if the file is damaged, cut short, of a kind that is not read, or of more
            than 16 bits a sample.
    """
    with decoder_errors("JPEG 2000"):
        found = list(_read_boxes(data))
        boxes = dict(found)
        stream = read_codestream(boxes.get(b"jp2c", data))
        bits = max(abs(depth) for depth in stream.bits)
        if (
            bits > _MAX_BITS
            or len(set(stream.bits)) > 1
            or stream.is_subsampled
            or b"pclr" in boxes
        ):
            raise InvalidImageError(
                "JPEG 2000 must have components of one size and one depth, of at most "
                f"{_MAX_BITS} bits, and no palette; this one has others"
            )
        values = jpeg2k_decode(data)
        values = values[:, :, None] if values.ndim == 2 else values
        if values.shape != (stream.height, stream.width, len(stream.bits)):
            raise ValueError("the image is not of the size that its header declares")
        colours = _read_colours(boxes, values.shape[2])
        choice = choose_bands((), colours, bands.bands, bands.alpha, expected=bands.expected)
        alphas = values[:, :, list(choice.alphas)]
        return make_raster(
            take_bands(values, choice.indices),
            valid=_read_alphas(alphas, stream, bits) if choice.alphas else None,
            bands=choice,
            full_scale=None if stream.bits[0] < 0 else float(2**bits - 1),
            # With the reversible wavelet the codestream may have been cut off, or not.
            is_lossy=stream.is_lossy or None,
            georeference=_read_georeference(found),
        )


def read_jpeg2000_header(data: Buffer) -> Header:
    """Read the size of the image from the headers of its codestream and of its tile-parts.

    Raises:
        ValueError: if there is no codestream, or its header is damaged.
        struct.error: likewise.
    """
    content = bytes(data)
    stream = read_codestream(dict(_read_boxes(content)).get(b"jp2c", content))
    return Header(
        stream.height,
        stream.width,
        len(stream.bits),
        1 + (max(map(abs, stream.bits)) > 8),
        extra_bytes=stream.extra_bytes,
        segments=stream.tiles * len(stream.bits),
    )


def _read_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk the boxes up to the codestream, those inside the JP2 header among them.

    Yields:
        type and contents.

    Raises:
        ValueError: if a box ends beyond the data.
        struct.error: likewise.
    """
    position = len(data) if data.startswith(START) else 0
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = len(data) if length == 0 else position + length
        if not start <= end <= len(data):
            raise ValueError(f"box {kind!r} ends beyond the file")
        if kind == b"jp2h":
            yield from _read_boxes(data[start:end])
        else:
            yield kind, data[start:end]
        if kind == b"jp2c":
            return  # the header comes before it; metadata and other things may follow
        position = end


def _read_georeference(boxes: Iterable[tuple[bytes, bytes]]) -> GeoTiffTags | None:
    """Read GeoJP2's box; the GML of GMLJP2 is not read."""
    for kind, content in boxes:
        if kind == b"uuid" and content.startswith(_GEOJP2):
            return read_embedded_georeference(content.removeprefix(_GEOJP2))
    return None


def _read_alphas(alphas: NDArray[Any], stream: Codestream, bits: int) -> NDArray[np.bool_]:
    least = 2 ** (bits - 1) if stream.is_lossy else 1
    return np.asarray(np.all(alphas >= least, axis=2), np.bool_)


def _read_colours(boxes: Mapping[bytes, bytes], channels: int) -> list[str]:
    """Read the colour interpretation of each channel from the header's boxes.

    Without a channel definition box, channels are colours in the order of their colour space.
    """
    # Method 1, enumerated colour spaces: 16 is sRGB, 17 is grey.
    method, space = boxes.get(b"colr", b"")[:1], boxes.get(b"colr", b"")[3:7]
    of_space = {16: ("red", "green", "blue"), 17: ("gray",)}
    number = int.from_bytes(space, "big") if method == b"\1" else 0
    names = (of_space.get(number, ()) + ("undefined",) * channels)[:channels]
    colours = list(names)
    for index, kind, association in struct.iter_unpack(">HHH", boxes.get(b"cdef", b"")[2:]):
        if index < channels:
            colours[index] = _name_channel(kind, association, of_space.get(number, ()))
    return colours


def _name_channel(kind: int, association: int, colours: Sequence[str]) -> str:
    if kind in _ALPHA_TYPES:
        return "alpha"
    return (
        colours[association - 1] if kind == 0 and 0 < association <= len(colours) else "undefined"
    )
