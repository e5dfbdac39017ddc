"""Opening of whatever GDAL opens, as one raster with bands.

A TIFF file of several pages is one raster only where its metadata say that the pages are channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rasterio

from lacuna.errors import InvalidImageError
from lacuna.excerpts import list_names
from lacuna.geo.pages import stack_pages

_LAB = ("CIELAB", "ICCLAB", "ITULAB")


def open_dataset(name: str) -> Any:
    """Open a raster as a rasterio dataset with at least one band.

    Args:
        name: a path, or another name that GDAL opens.

    Raises:
        InvalidImageError: if it is a folder, has no bands, or holds several images.
        RasterioIOError: if it cannot be opened.
    """
    dataset = _open(name)
    try:
        if dataset.count == 0:
            raise InvalidImageError(_describe_container(dataset, name))
        if dataset.driver == "GTiff" and len(dataset.subdatasets) > 1:
            return _replace(dataset, stack_pages(dataset, name))
        space = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE")
        if space in _LAB:
            raise InvalidImageError(
                f"colours must be grey, RGB, palette, CMYK or YCbCr; {name} has {space}"
            )
        # Without it, GDAL reduces inks to RGB of eight bits.
        return _replace(dataset, f"GTIFF_RAW:{name}") if space == "CMYK" else dataset
    except BaseException:
        dataset.close()
        raise


def _open(name: str) -> Any:
    # Of a text, rasterio takes what comes after a question mark for a query.
    path = Path(name)
    try:
        if path.is_file():
            return rasterio.open(path)
        return rasterio.open(name)
    except rasterio.errors.RasterioIOError:
        if path.is_dir():
            raise InvalidImageError(
                f"raster must be one that GDAL opens; {name} is a folder"
            ) from None
        raise


def _replace(dataset: Any, name: str) -> Any:
    other = rasterio.open(name)
    dataset.close()
    return other


def _describe_container(dataset: Any, name: str) -> str:
    rule = f"raster must have bands; {name}"
    inside = dataset.subdatasets
    if not inside:
        return f"{rule} has none"
    return f"{rule} is a container of {len(inside)} rasters, one of which must be named: " + (
        list_names(inside)
    )
