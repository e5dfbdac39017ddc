"""Main header of a JPEG 2000 codestream (ISO/IEC 15444-1, annex A), and the memory it asks for.

A few hundred bytes can claim millions of tiles, precincts or code blocks, each of which costs a
decoder far more than the samples in it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

START = b"\xff\x4f"
_MAX_SEGMENTS = 1 << 17
_SIZE, _CODING_STYLE, _COMPONENT_STYLE = 0xFF51, 0xFF52, 0xFF53
_START_OF_TILE, _START_OF_DATA = 0xFF90, 0xFF93
_TILE_PART = b"\xff\x90\x00\x0a"
_REVERSIBLE = 1
_HAS_PRECINCTS = 1
# Bytes that OpenJPEG 2.5 takes, measured, for each of these and rounded up.
_TILE_BYTES, _TILE_COMPONENT_BYTES, _RESOLUTION_BYTES, _BLOCK_BYTES = 9000, 1100, 2000, 600


class Codestream(NamedTuple):
    """Main header of a codestream.

    Attributes:
        height: rows.
        width: columns.
        bits: precision of each component; negative where it is signed.
        is_subsampled: a component has fewer samples than the image has pixels.
        is_lossy: the wavelet is the irreversible one.
        tiles: how many there are.
        extra_bytes: memory that tiles, precincts, code blocks and layers take in the decoder.
    """

    height: int
    width: int
    bits: tuple[int, ...]
    is_subsampled: bool
    is_lossy: bool
    tiles: int
    extra_bytes: int


class _Style(NamedTuple):
    """Coding style of components."""

    levels: int
    block_pixels: int
    precinct_pixels: int


def read_codestream(stream: bytes) -> Codestream:
    """Read the main header of a codestream.

    Args:
        stream: from its first marker on.

    Raises:
        ValueError: if it is damaged.
        struct.error: likewise.
    """
    if not stream.startswith(START):
        raise ValueError("there is no codestream")
    segments = list(_read_segments(stream))
    size, coding = dict(segments)[_SIZE], dict(segments)[_CODING_STYLE]
    _, right, bottom, left, top = struct.unpack_from(">HIIII", size)
    (count,) = struct.unpack_from(">H", size, 34)
    components = struct.unpack_from("BBB" * count, size, 36)
    bits = [(depth & 0x7F) + 1 for depth in components[::3]]
    signs = [-1 if depth & 0x80 else 1 for depth in components[::3]]
    return Codestream(
        bottom - top,
        right - left,
        tuple(depth * sign for depth, sign in zip(bits, signs, strict=True)),
        any(step != 1 for step in (*components[1::3], *components[2::3])),
        coding[9] != _REVERSIBLE,
        _count_tiles(size),
        _estimate_bytes(size, segments, count),
    )


def _read_segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk the marker segments of the main header and of those of tile-parts, up to a limit."""
    start = len(START)
    for _ in range(_MAX_SEGMENTS):
        marker, length = struct.unpack_from(">HH", stream, start)
        if marker not in (_START_OF_TILE, _START_OF_DATA):
            yield marker, stream[start + 4 : start + 2 + length]
            start += 2 + length
            continue
        # The decoder goes by lengths; wherever they lead, a tile-part begins with these bytes,
        # which coded data do not hold.
        start = stream.find(_TILE_PART, start) + 12
        if not 12 <= start <= len(stream) - 4:
            return
    raise ValueError("there are more marker segments and tile-parts than any encoder writes")


def _count_tiles(size: bytes) -> int:
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", size, 2)
    if not (width and height):
        raise ValueError("tiles must have at least one pixel")
    return math.ceil((right - left) / width) * math.ceil((bottom - top) / height)


def _estimate_bytes(size: bytes, segments: list[tuple[int, bytes]], components: int) -> int:
    right, bottom, left, top, width, height = struct.unpack_from(">6I", size, 2)
    tile = (min(height, bottom - top), min(width, right - left))
    per_component = _estimate_component_bytes(tile, segments, components)
    per_tile = _TILE_BYTES + components * _TILE_COMPONENT_BYTES
    return _count_tiles(size) * per_tile + components * per_component


def _estimate_component_bytes(
    tile: tuple[int, int], segments: list[tuple[int, bytes]], components: int
) -> int:
    """Estimate the bytes for a component of one tile; they are freed before the next tile."""
    styles = list(_read_styles(segments, components))
    layers: int = max(
        struct.unpack_from(">H", content, 2)[0]
        for marker, content in segments
        if marker == _CODING_STYLE
    )
    pixels = tile[0] * tile[1]
    resolutions = 1 + max(style.levels for style in styles)
    blocks = pixels // min(style.block_pixels for style in styles)
    precincts = 1 + pixels // min(style.precinct_pixels for style in styles)
    # Two bytes for each packet, by which the decoder notes which ones it has seen.
    packets = resolutions * precincts * (layers + 1)
    return resolutions * _RESOLUTION_BYTES + blocks * _BLOCK_BYTES + 2 * packets


def _read_styles(segments: list[tuple[int, bytes]], components: int) -> Iterator[_Style]:
    for marker, content in segments:
        if marker == _CODING_STYLE:
            yield _read_style(content[0], content[5:])
        elif marker == _COMPONENT_STYLE:
            start = 1 if components < 257 else 2
            yield _read_style(content[start], content[start + 1 :])


def _read_style(flags: int, content: bytes) -> _Style:
    levels = content[0]
    columns, rows = (content[1] & 15) + 2, (content[2] & 15) + 2
    precincts = content[5 : 6 + levels] if flags & _HAS_PRECINCTS else b""
    if not precincts:
        return _Style(levels, 1 << (columns + rows), 1 << 30)
    # Of all levels but the lowest, a precinct has half the sides in each of the three bands.
    sides = [
        (max((side & 15) - (level > 0), 0), max((side >> 4) - (level > 0), 0))
        for level, side in enumerate(precincts)
    ]
    return _Style(
        levels,
        min(1 << (min(columns, across) + min(rows, down)) for across, down in sides),
        min(1 << (across + down) for across, down in sides),
    )
