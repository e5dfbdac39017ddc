"""Tags of a TIFF page that tell where it lies and what its bands are."""

from __future__ import annotations

import html
import re
from typing import Any

from tifffile import TiffPage

from lacuna.raster.georeference import Georeference

_PIXEL_SCALE, _TIEPOINTS, _TRANSFORMATION = 33550, 33922, 34264
_KEYS, _DOUBLES, _TEXT = 34735, 34736, 34737
_GDAL_METADATA = 42112

# By pattern and not as XML: a parser would expand what a hostile file defines.
_ITEM = re.compile(r"<Item\b([^>]*)>([^<]*)</Item>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


def read_georeference(page: TiffPage) -> Georeference | None:
    """Read where a page lies.

    Args:
        page: of a TIFF file.

    Returns:
        None if it has none of the tags.
    """
    found = Georeference(
        pixel_scale=_read_numbers(page, _PIXEL_SCALE),
        tiepoints=_read_numbers(page, _TIEPOINTS),
        transformation=_read_numbers(page, _TRANSFORMATION),
        keys=tuple(int(number) for number in _read_numbers(page, _KEYS)),
        doubles=_read_numbers(page, _DOUBLES),
        text=str(page.tags.valueof(_TEXT) or "").rstrip("\0"),
    )
    return None if found == Georeference() else found


def read_band_names(page: TiffPage, samples: int) -> tuple[str, ...]:
    """Read the descriptions of bands that GDAL wrote.

    Args:
        page: of a TIFF file.
        samples: number of samples per pixel.

    Returns:
        One for each sample, empty where it has none; nothing if no sample has one.
    """
    names = [""] * samples
    for attributes, text in _ITEM.findall(str(page.tags.valueof(_GDAL_METADATA) or "")):
        item = dict(_ATTRIBUTE.findall(attributes))
        sample = item.get("sample", "")
        if item.get("role") == "description" and sample.isdecimal() and int(sample) < samples:
            names[int(sample)] = html.unescape(text).strip()
    return tuple(names) if any(names) else ()


def _read_numbers(page: TiffPage, code: int) -> tuple[float, ...]:
    value: Any = page.tags.valueof(code)
    if value is None or isinstance(value, str | bytes):
        return ()
    return tuple(value) if isinstance(value, tuple) else (value,)
