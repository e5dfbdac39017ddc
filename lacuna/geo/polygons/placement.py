"""Coordinates of the corners of pixels: in a raster's own system, or as longitudes and latitudes."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from lacuna.errors import SceneError
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid

_WGS84 = CRS.from_string("OGC:CRS84")
_OUTLINE_STEPS = 65
_TURN = 360.0
_FINENESS = 1000
_DECIMALS = range(6, 13)


class Placement(Protocol):
    """Way from columns and rows to coordinates."""

    def place(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return the coordinates of points (N, 2), given as columns and rows; float64 (N, 2)."""
        ...


class GridPlacement:
    """Coordinates in the raster's own system; columns and rows if it has no transform.

    Args:
        grid: place of the raster.

    Attributes:
        crs: coordinate reference system of the coordinates; None if it is unknown.

    Raises:
        SceneError: if the raster has only ground control points.
    """

    def __init__(self, grid: Grid) -> None:
        check_transform(grid)
        self._transform = grid.transform or Affine.identity()
        self.crs: CRS | None = None if grid.transform is None else grid.crs

    def place(self, points: NDArray[Any]) -> NDArray[np.float64]:
        t, (columns, rows) = self._transform, points.T
        return np.stack(
            [t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f], axis=1
        )


class LonLatPlacement:
    """Longitudes and latitudes on WGS 84, in degrees, as GeoJSON has them.

    They are rounded to a decimal place that is at most a thousandth of a pixel. All points are
    corners of pixels, so no two of them become one, and no edges cross that did not. Neighbours
    have the same points on both sides of their boundary, and equal points are rounded alike.

    Longitudes are continuous over the raster. East or west of the antimeridian they may be beyond
    180 degrees.

    Args:
        grid: place of the raster.

    Attributes:
        decimals: number of decimal places.
        is_cut: True if the antimeridian may cross the raster.

    Raises:
        SceneError: if the raster has no place on Earth, or holds a pole.
    """

    def __init__(self, grid: Grid) -> None:
        check_transform(grid)
        crs = grid.crs
        if crs is None or grid.transform is None or not (crs.is_geographic or crs.is_projected):
            known = "none" if crs is None or grid.transform is None else "one that is not on Earth"
            raise SceneError(
                "GeoJSON is in longitude and latitude and needs the raster's coordinate reference "
                f"system; the raster has {known}"
            )
        self._grid, self._crs = GridPlacement(grid), crs
        self._middle: float | None = None
        self.decimals = _DECIMALS[-1]
        middle = np.array([[grid.width / 2, grid.height / 2]])
        if not crs.is_geographic:
            self._middle = float(self.place(middle)[0, 0])
        pixel = self.place(middle + [[0, 0], [1, 0], [0, 1]])
        size = np.linalg.norm(pixel[1:] - pixel[0], axis=1).min()
        self.decimals = int(
            np.clip(math.ceil(-math.log10(size / _FINENESS)), _DECIMALS[0], _DECIMALS[-1])
        )
        longitudes = self.place(_draw_outline(grid))[:, 0]
        if np.abs(np.diff(longitudes)).max() > _TURN / 2 and not crs.is_geographic:
            raise SceneError("GeoJSON cannot hold a raster around a pole; this one is around one")
        self.is_cut = bool(np.abs(longitudes).max() > _TURN / 2)

    def place(self, points: NDArray[Any]) -> NDArray[np.float64]:
        placed = self._grid.place(points)
        with gdal("corners of pixels must have a longitude and latitude", "the raster", SceneError):
            longitudes, latitudes = np.array(transform_points(self._crs, _WGS84, *placed.T))
        ...
        return placed


def check_transform(grid: Grid) -> None:
    """Hold a grid to have no ground control points in place of a transform.

    Raises:
        SceneError: if it has.
    """
    if grid.transform is None and grid.gcps:
        raise SceneError(
            "polygons need a raster whose pixels have exact coordinates; this one has only ground "
            "control points (gdalwarp makes a raster with a transform of it)"
        )


def is_mirrored(placement: Placement, grid: Grid) -> bool:
    """Return True if an outline that is clockwise on the image is so in coordinates as well."""
    corner = np.array([[grid.width / 2, grid.height / 2]])
    origin, right, below = placement.place(corner + [[0, 0], [1, 0], [0, 1]])
    across, down = right - origin, below - origin
    return bool(across[0] * down[1] - across[1] * down[0] < 0)


def _draw_outline(grid: Grid) -> NDArray[np.float64]:
    steps = np.linspace(0, 1, _OUTLINE_STEPS)[:-1]
    zeros, ones = np.zeros_like(steps), np.ones_like(steps)
    columns = np.concatenate([steps, ones, 1 - steps, zeros, [0]])
    rows = np.concatenate([zeros, steps, ones, 1 - steps, [0]])
    return np.stack([columns * grid.width, rows * grid.height], axis=1)
