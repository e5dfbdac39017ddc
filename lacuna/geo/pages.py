"""Pages of a TIFF file that are channels of one image, as microscopes write them.

The metadata of OME and of ImageJ say what the pages are: channels, or the slices (Z) and times (T)
of a stack, which is not one image.
"""

from __future__ import annotations

import html
import re
from typing import Any
from xml.sax.saxutils import escape

import rasterio
from rasterio.dtypes import dtype_rev, typename_fwd

from lacuna.errors import InvalidImageError
from lacuna.excerpts import list_names

# By pattern and not as XML: a parser would expand what a hostile file defines.
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>")
_CHANNEL = re.compile(r"<(?:\w+:)?Channel\b([^>]*)>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_IMAGEJ = re.compile(r"^(channels|slices|frames)=(\d+)\s*$", re.MULTILINE)


def stack_pages(dataset: Any, name: str) -> str:
    """Describe pages that are channels as a virtual raster whose bands they are.

    Args:
        dataset: rasterio dataset of a TIFF file with several pages.
        name: its path.

    Returns:
        XML of a VRT, which GDAL opens.

    Raises:
        InvalidImageError: if the metadata do not say that the pages are channels, or these are not
            of one size and type.
    """
    # rasterio sorts them as texts.
    pages = sorted(dataset.subdatasets, key=lambda page: int(page.split(":")[1]))
    names = read_channels(dataset.tags().get("TIFFTAG_IMAGEDESCRIPTION", ""), len(pages))
    if names is None:
        raise InvalidImageError(
            f"TIFF must hold one image; {name} holds {len(pages)}, one of which must be named: "
            + list_names(pages)
        )
    _check_pages(pages, dataset, name)
    height, width = dataset.block_shapes[0]
    bands = [
        f'<VRTRasterBand dataType="{typename_fwd[dtype_rev[dataset.dtypes[0]]]}" band="{number}" '
        f'blockXSize="{width}" blockYSize="{height}"><Description>{escape(channel)}</Description>'
        f"{_write_nodata(dataset.nodata)}<SimpleSource>"
        f"<SourceFilename>{escape(page)}</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand>"
        for number, (page, channel) in enumerate(zip(pages, names, strict=True), 1)
    ]
    size = f'rasterXSize="{dataset.width}" rasterYSize="{dataset.height}"'
    return f"<VRTDataset {size}>{_write_place(dataset)}{''.join(bands)}</VRTDataset>"


def read_channels(description: str, pages: int) -> tuple[str, ...] | None:
    """Read from the description of the first page what the pages are.

    Args:
        description: text of the tag ImageDescription.
        pages: number of pages.

    Returns:
        A name for each page if each is a channel, empty where it has none; None if they are not
        channels, or not said to be.
    """
    if description.startswith("ImageJ="):
        sizes = {key: int(number) for key, number in _IMAGEJ.findall(description)}
        channels, others, names = sizes.get("channels"), [*sizes.values()], []
    else:
        found = _PIXELS.findall(description)
        if len(found) != 1:
            return None
        axes = dict(_ATTRIBUTE.findall(found[0]))
        sizes = {key: int(axes.get(f"Size{key}", "0")) for key in "CZT"}
        channels, others = sizes["C"], [*sizes.values()]
        tags = [dict(_ATTRIBUTE.findall(tag)) for tag in _CHANNEL.findall(description)]
        names = [html.unescape(tag.get("Name", "")) for tag in tags]
    if channels != pages or sorted(others)[:-1] not in ([], [1], [1, 1]):
        return None
    return tuple(names) if len(names) == pages else ("",) * pages


def _check_pages(pages: list[str], first: Any, name: str) -> None:
    for number, page in enumerate(pages, 1):
        with rasterio.open(page) as other:
            found = (*other.shape, *other.dtypes)
        wanted = (*first.shape, first.dtypes[0])
        if found != wanted:
            raise InvalidImageError(
                "pages that are channels must be of one size and type, and have one band; page 1 "
                f"of {name} is {wanted}, page {number} is {found}"
            )


def _write_nodata(nodata: float | None) -> str:
    return "" if nodata is None else f"<NoDataValue>{nodata!r}</NoDataValue>"


def _write_place(dataset: Any) -> str:
    crs = "" if dataset.crs is None else f"<SRS>{escape(dataset.crs.to_wkt())}</SRS>"
    numbers = ", ".join(map(repr, dataset.transform.to_gdal()))
    return crs + (
        "" if dataset.transform.is_identity else f"<GeoTransform>{numbers}</GeoTransform>"
    )
