"""Tags of a TIFF page that tell where it lies, what its bands are and which pixels are missing."""

from __future__ import annotations

import html
import re
import struct
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import numpy as np
from tifffile import TiffFile, TiffPage

from lacuna.georeference import GeoTiffTags
from lacuna.raster.ifd import read_directories
from lacuna.raster.nodata import parse_nodata

_PIXEL_SCALE, _TIEPOINTS, _TRANSFORMATION = 33550, 33922, 34264
_KEYS, _DOUBLES, _TEXT = 34735, 34736, 34737
GEOREFERENCE_TAGS = frozenset({_PIXEL_SCALE, _TIEPOINTS, _TRANSFORMATION, _KEYS, _DOUBLES, _TEXT})
"""Tags that are of use only together."""

_GDAL_METADATA = 42112
GDAL_NODATA = 42113
"""Tag of the no-data value of all bands."""

_MOST_DIGITS = 7

_ALPHA, _UNDEFINED = "alpha", "undefined"
_ALPHA_KINDS = (1, 2)
_RGB = ("red", "green", "blue")
_BASE_COLOURS = {0: ("gray",), 1: ("gray",), 2: _RGB, 6: _RGB}
"""Of samples by photometric interpretation; JPEG's YCbCr is decoded to RGB."""

# By pattern and not as XML: a parser would expand what a hostile file defines.
_ITEM = re.compile(r"<Item\b([^>]*)>([^<]*)</Item>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


def read_georeference(page: TiffPage) -> GeoTiffTags | None:
    """Read where a page lies.

    Args:
        page: of a TIFF file.

    Returns:
        None if it has none of the tags.
    """
    keys = _read_numbers(page, _KEYS)
    found = GeoTiffTags(
        pixel_scale=_read_numbers(page, _PIXEL_SCALE),
        tiepoints=_read_numbers(page, _TIEPOINTS),
        transformation=_read_numbers(page, _TRANSFORMATION),
        keys=tuple(key for key in keys if isinstance(key, int)),
        doubles=_read_numbers(page, _DOUBLES),
        text=str(page.tags.valueof(_TEXT) or "").rstrip("\0"),
    )
    return None if found == GeoTiffTags() else found


def read_embedded_georeference(data: bytes) -> GeoTiffTags | None:
    """Read where an image lies from a GeoTIFF without an image, as JPEG 2000 files hold it.

    Args:
        data: the GeoTIFF; it may be damaged.

    Returns:
        None if there is nothing that can be read.
    """
    try:
        directory = next(read_directories(data))
        if directory.damaged & GEOREFERENCE_TAGS or directory.value_bytes > len(data):
            return None
        with TiffFile(BytesIO(data)) as file:
            return read_georeference(file.pages.first)
    except (ValueError, LookupError, StopIteration, struct.error):
        return None


def read_band_names(page: TiffPage, samples: int) -> tuple[str, ...]:
    """Read the descriptions of bands that GDAL wrote.

    Args:
        page: of a TIFF file.
        samples: number of samples per pixel.

    Returns:
        One for each sample, empty where it has none; nothing if no sample has one.
    """
    names = [""] * samples
    for item, text in _read_items(page):
        sample = _find_sample(item, samples)
        if item.get("role") == "description" and sample is not None:
            names[sample] = text
    return tuple(names) if any(names) else ()


def read_colours(page: TiffPage, samples: int) -> tuple[str, ...]:
    """Read the colour interpretation of each sample, as GDAL does.

    Args:
        page: of a TIFF file.
        samples: number of samples per pixel.

    Returns:
        In GDAL's words, in lower case.
    """
    colours = list(_BASE_COLOURS.get(int(page.photometric), ()))
    extra = [_ALPHA if kind in _ALPHA_KINDS else _UNDEFINED for kind in page.extrasamples]
    base = max(samples - len(extra), 0)
    colours = [*colours[:base], *[_UNDEFINED] * (base - len(colours)), *extra][:samples]
    for item, text in _read_items(page):
        sample = _find_sample(item, samples)
        if item.get("role") == "colorinterp" and sample is not None:
            colours[sample] = text.lower()
    return tuple(colours)


def _find_sample(item: Mapping[str, str], samples: int) -> int | None:
    """Return the sample that an item is about; None if it is about none, or does not exist."""
    text = item.get("sample", "")
    if not (text.isdecimal() and len(text) < _MOST_DIGITS):
        return None
    return int(text) if int(text) < samples else None


def read_nodata(page: TiffPage) -> float | None:
    """Read the no-data value that GDAL wrote, of all bands.

    Args:
        page: of a TIFF file.

    Returns:
        None if there is none, or a text that is no number.
    """
    return _parse(str(page.tags.valueof(GDAL_NODATA, "")).strip("\0 "))


def read_nodata_values(page: TiffPage, samples: int) -> tuple[float, ...] | None:
    """Read the metadata item NODATA_VALUES that GDAL wrote.

    Args:
        page: of a TIFF file.
        samples: number of samples per pixel.

    Returns:
        One value for each sample; None if there are not as many, as GDAL then ignores them.
    """
    for item, text in _read_items(page):
        if item.get("name") == "NODATA_VALUES" and "sample" not in item:
            values = [_parse(word) for word in text.split()]
            if len(values) == samples and None not in values:
                return tuple(value for value in values if value is not None)
    return None


def _read_items(page: TiffPage) -> Iterator[tuple[dict[str, str], str]]:
    """Walk the items of GDAL's metadata: attributes and text."""
    for attributes, text in _ITEM.findall(str(page.tags.valueof(_GDAL_METADATA) or "")):
        yield dict(_ATTRIBUTE.findall(attributes)), html.unescape(text).strip()


def _parse(text: str) -> float | None:
    try:
        nodata = parse_nodata(text)
    except ValueError:
        return None
    return None if isinstance(nodata, str) else nodata


def _read_numbers(page: TiffPage, code: int) -> tuple[float, ...]:
    value: Any = page.tags.valueof(code)
    if value is None or isinstance(value, str | bytes):
        return ()
    if isinstance(value, np.ndarray):  # tifffile's way to return very many
        return tuple(value.ravel().tolist())
    return tuple(value) if isinstance(value, tuple) else (value,)
