"""Transformation of coordinates between reference systems."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from lacuna.errors import SceneError
from lacuna.geo.environment import gdal


def is_on_earth(crs: CRS | None) -> bool:
    """Return True if a coordinate reference system places coordinates on an ellipsoid."""
    return crs is not None and bool(crs.is_geographic or crs.is_projected)


def transform_coordinates(
    source: CRS, target: CRS | str, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Transform coordinates, eastings or longitudes first.

    Args:
        source: their reference system.
        target: the reference system of the result, or a text of PROJ.
        x: float64, of any shape.
        y: float64, of the same shape.

    Returns:
        Arrays of the same shape; None if the systems have nothing in common, or a point is outside
        the domain of a projection.
    """
    try:
        with gdal("coordinates must have a place on Earth", "raster", SceneError):
            found = np.array(transform_points(source, target, x.ravel(), y.ravel()))
    except SceneError:
        return None
    if not np.isfinite(found).all():
        return None
    return found[0].reshape(x.shape), found[1].reshape(x.shape)
