"""Segmentations that have a place on Earth: how it is told, measured and written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from lacuna.errors import InvalidImageError, NotGeoreferencedError, SceneError
from lacuna.geo.areas import PixelAreas, measure_labels
from lacuna.geo.cog import encode_cog
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.geo.layers import (
    Layer,
    confidence_layer,
    describe_model,
    labels_layer,
    support_layer,
)
from lacuna.geo.place import describe, make_grid
from lacuna.geo.polygons import encode_geojson
from lacuna.geo.tags import read_grid
from lacuna.georeference import Georeference, GeoTiffTags
from lacuna.segmentation import NamedSegmentation

Named = TypeVar("Named", bound=NamedSegmentation)


_PAGE_OPTIONS = {
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
    "compress": "deflate",
    "zlevel": 1,
}


def describe_tags(tags: GeoTiffTags, size: tuple[int, int]) -> Georeference:
    """Return where an image lies.

    Args:
        tags: of its file.
        size: height and width in pixels.
    """
    return describe(read_grid(tags, size))


def measure(segmentation: Named) -> Named:
    """Add the mean area of a pixel and the area of each class, if pixels have areas.

    Args:
        segmentation: with a georeference.
    """
    try:
        areas = PixelAreas(_find_grid(segmentation))
        total_m2 = measure_labels(segmentation.labels, areas)
    except (NotGeoreferencedError, InvalidImageError):  # or beyond what the CRS can project
        return segmentation
    pixel_m2 = float(total_m2.sum()) / segmentation.labels.size
    if not math.isfinite(pixel_m2):
        return segmentation
    return replace(
        segmentation,
        georeference=replace(_find_place(segmentation), pixel_area_m2=pixel_m2),
        areas_m2={entry.name: float(total_m2[entry.id]) for entry in segmentation.classes},
    )


def write_geotiff(segmentation: NamedSegmentation) -> bytes:
    """Write labels as a Cloud-Optimised GeoTIFF, and each further plane as a page behind them.

    A band for each would need one type for all. With further pages the file is an ordinary TIFF.

    Args:
        segmentation: with a georeference.
    """
    grid = _find_grid(segmentation)
    tags = describe_model(segmentation.model, segmentation.version)
    labels = segmentation.labels[None]
    content = encode_cog(labels, grid, labels_layer(segmentation.classes), tags)
    pages = [
        (np.where(segmentation.valid, plane, np.float32(np.nan)), layer)
        for plane, layer in (
            (segmentation.confidence, confidence_layer()),
            (segmentation.support, support_layer()),
        )
        if plane is not None
    ]
    return _append_pages(content, grid, pages) if pages else content


def write_geojson(segmentation: NamedSegmentation) -> bytes:
    """Write a polygon for each region, in WGS 84 (RFC 7946).

    Raises:
        NotGeoreferencedError: if the segmentation has no CRS or no transform.
    """
    grid = _find_grid(segmentation)
    if grid.crs is None or grid.transform is None:
        raise NotGeoreferencedError(
            "polygons need an image with a coordinate reference system and a transform"
        )
    return encode_geojson(segmentation.labels, grid, segmentation.classes, segmentation.confidence)


def _find_grid(segmentation: NamedSegmentation) -> Grid:
    height, width = segmentation.labels.shape
    return make_grid(_find_place(segmentation), (height, width))


def _find_place(segmentation: NamedSegmentation) -> Georeference:
    return segmentation.georeference or Georeference()


def _append_pages(
    content: bytes, grid: Grid, pages: Sequence[tuple[NDArray[np.float32], Layer]]
) -> bytes:
    with gdal("planes must be written", "the answer", SceneError), MemoryFile() as file:
        file.write(content)
        for plane, layer in pages:
            profile: dict[str, Any] = {
                **_PAGE_OPTIONS,
                **grid.to_profile(),
                "nodata": layer.nodata,
                "predictor": layer.predictor,
            }
            with rasterio.open(
                file.name,
                "w",
                "GTiff",
                count=1,
                dtype="float32",
                APPEND_SUBDATASET="YES",
                **profile,
            ) as dataset:
                dataset.write(plane, 1)
                dataset.descriptions = layer.band_names
        return bytes(file.getbuffer())
