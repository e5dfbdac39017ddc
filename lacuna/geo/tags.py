"""GeoTIFF's tags, interpreted by GDAL, which is given nothing else of a file.

The tags may come from a stranger, so that GDAL reads them from the header of a file of one pixel,
in memory, which holds these tags alone:

1. Only the GTiff driver opens it. There is nothing beside it, and nothing that refers elsewhere.
2. A CRS that is spelt out as text may name grid files, which PROJ would open or fetch. So such a
   text counts only if it is the plain form that GDAL and ArcGIS write ("ESRI PE String").
3. Without a CRS that can be understood, an image still has its transform; and without both, none.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import replace

from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.errors import CRSError
from rasterio.io import MemoryFile

from lacuna.errors import InvalidImageError
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.georeference import GeoTiffTags

_MAX_NUMBERS = 1 << 16
"""Most numbers of a tag: ten thousand control points, or as many keys as 16 bits can count."""

_SHORT, _ASCII, _DOUBLE = 3, 2, 12
_PIXEL = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 0), (277, 1), (278, 1), (279, 0))
"""Tags of one pixel of eight bits, which is not stored."""

_SPELT_OUT = re.compile(r"pe\s*string", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[^()\[\]{}\"]*")
_PLAIN_WKT = re.compile(
    r"ESRI PE String = (?:(?:PROJCS|GEOGCS|DATUM|SPHEROID|PRIMEM|UNIT|PROJECTION|PARAMETER|"
    r"AUTHORITY|VERTCS|VDATUM)\[|\"[\w .,()-]*\"|[\d.,\]Ee+-])*"
)


def read_grid(tags: GeoTiffTags, size: tuple[int, int]) -> Grid:
    """Return the grid of an image whose file has these tags.

    Args:
        tags: as they stand in the file; they may be damaged, or made to do harm.
        size: height and width in pixels.

    Returns:
        A grid whose CRS and transform are those that GDAL finds; without those that are not finite,
        not invertible, or cannot be understood.
    """
    height, width = size
    nowhere = Grid(height, width)
    try:
        with (
            gdal("the georeference of an image must be one that GDAL reads", "it"),
            MemoryFile(_write_header(tags)) as file,
            file.open(driver="GTiff") as dataset,
        ):
            grid = Grid.of(dataset)
    except (InvalidImageError, CRSError):
        return nowhere
    transform = grid.transform
    if transform is not None and not _is_usable(transform):
        transform = None
    gcps = tuple(point for point in grid.gcps if _is_finite(point))
    return replace(grid, height=height, width=width, transform=transform, gcps=gcps)


def _is_usable(transform: Affine) -> bool:
    return all(map(math.isfinite, transform[:6])) and abs(transform.determinant) > 0


def _is_finite(point: GroundControlPoint) -> bool:
    return all(map(math.isfinite, (point.row, point.col, point.x, point.y, point.z or 0.0)))


def _write_header(tags: GeoTiffTags) -> bytes:
    """Write a TIFF of one pixel with these tags."""
    pixel = [(code, _SHORT, 1, struct.pack("<H", value)) for code, value in _PIXEL]
    entries = [*pixel, *_write_tags(tags)]
    start = 8 + 2 + 12 * len(entries) + 4
    head, values = b"", b""
    for code, kind, count, value in entries:
        stands = value.ljust(4, b"\0")
        if len(value) > 4:
            stands = struct.pack("<I", start + len(values))
            values += value + b"\0" * (len(value) % 2)
        head += struct.pack("<HHI", code, kind, count) + stands
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + head + bytes(4) + values


def _write_tags(tags: GeoTiffTags) -> Iterator[tuple[int, int, int, bytes]]:
    """Write the tags, in the order of their codes, without those that cannot be sound."""
    places = ((33550, tags.pixel_scale), (33922, tags.tiepoints), (34264, tags.transformation))
    for code, numbers in places:
        if 0 < len(numbers) <= _MAX_NUMBERS and all(map(math.isfinite, numbers)):
            yield code, _DOUBLE, len(numbers), struct.pack(f"<{len(numbers)}d", *numbers)
    text = tags.text.encode("ascii", "replace") + b"\0"
    if not 0 < len(tags.keys) <= _MAX_NUMBERS or not _is_harmless(tags.text):
        return
    if max(len(tags.doubles), len(text)) > _MAX_NUMBERS or not all(
        0 <= k < 1 << 16 for k in tags.keys
    ):
        return
    yield 34735, _SHORT, len(tags.keys), struct.pack(f"<{len(tags.keys)}H", *tags.keys)
    if tags.doubles:
        numbers = tags.doubles
        yield 34736, _DOUBLE, len(numbers), struct.pack(f"<{len(numbers)}d", *numbers)
    if tags.text:
        yield 34737, _ASCII, len(text), text


def _is_harmless(text: str) -> bool:
    """Return whether a text cannot make PROJ open a file."""
    if not _SPELT_OUT.search(text):
        return True
    return all(
        (_PLAIN_WKT if _SPELT_OUT.search(part) else _PLAIN_NAME).fullmatch(part)
        for part in text.split("|")
    )
