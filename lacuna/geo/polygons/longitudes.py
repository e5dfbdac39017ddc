"""Longitudes and latitudes of the corners of pixels, as GeoJSON has them (RFC 7946)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from lacuna.errors import NotGeoreferencedError
from lacuna.geo.coordinates import is_on_earth, transform_coordinates
from lacuna.geo.grid import Grid
from lacuna.geo.polygons.placement import GridPlacement, corners_of_middle

_TURN = 360.0
_HALF_TURN = 180.0
_OUTLINE_STEPS = 64
_FINENESS = 1000
_DECIMALS = (6, 12)


class LonLatPlacement:
    """Longitudes and latitudes on WGS 84, in degrees.

    They are rounded to a thousandth of a pixel or less. All points are corners of pixels, so that
    no two become one and no edges cross that did not. Neighbours have the same points on both
    sides of their boundary, and equal points are rounded alike.

    Longitudes are continuous over the raster: behind the antimeridian they go on beyond 180.

    Args:
        grid: place of the raster.

    Attributes:
        decimals: number of decimal places.

    Raises:
        NotGeoreferencedError: if the raster has no place on Earth, or is around a pole.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = GridPlacement(grid)
        if grid.crs is None or grid.transform is None or not is_on_earth(grid.crs):
            raise NotGeoreferencedError(
                "GeoJSON is in longitudes and latitudes, which need the raster's coordinate "
                f"reference system; {_describe_lack(grid)}"
            )
        self._crs = grid.crs
        self._degrees = _read_degrees(grid.crs)
        self._middle: float | None = None
        self.decimals = _DECIMALS[1]
        self._middle = float(self.place(corners_of_middle(grid))[0, 0])
        pixel = self.place(corners_of_middle(grid))
        size = np.linalg.norm(pixel[1:] - pixel[0], axis=1).min()
        places = math.ceil(-math.log10(max(size, 1e-15) / _FINENESS))
        self.decimals = min(max(places, _DECIMALS[0]), _DECIMALS[1])
        longitudes = self.place(_draw_outline(grid))[:, 0]
        if self._degrees is None and np.abs(np.diff(longitudes)).max() > _HALF_TURN:
            raise NotGeoreferencedError(
                "GeoJSON needs a raster that is not around a pole; this one is (other formats "
                "keep the raster's coordinate reference system)"
            )

    def place(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return longitudes and latitudes (N, 2) of points (N, 2): columns and rows.

        Raises:
            NotGeoreferencedError: if a point has none.
        """
        x, y = self._grid.place(points).T
        if self._degrees is not None:
            # A global grid may end half a pixel behind a pole.
            y = np.clip(y, -90 / self._degrees, 90 / self._degrees)
        found = transform_coordinates(self._crs, _WGS84, x, y)
        if found is None:
            raise NotGeoreferencedError(
                "GeoJSON is on WGS 84; there is no way to it from the raster's coordinate "
                "reference system for all corners of its pixels"
            )
        longitudes, latitudes = found
        if self._degrees is not None:
            near: Any = x * self._degrees
        else:
            near = longitudes if self._middle is None else self._middle
        longitudes = longitudes - _TURN * np.round((longitudes - near) / _TURN)
        # Adding 0 makes 0 of −0.
        return np.round(np.stack([longitudes, latitudes], axis=1), self.decimals) + 0.0


def cut_at_antimeridian(polygon: Any, decimals: int) -> list[Any]:
    """Cut a polygon whose longitudes go beyond ±180 into polygons whose do not.

    Args:
        polygon: shapely's.
        decimals: number of decimal places of the points on the cut.

    Returns:
        Polygons of shapely, with counterclockwise outlines.
    """
    west, _, east, _ = polygon.bounds
    pieces = []
    first = math.floor((west + _HALF_TURN) / _TURN)
    last = math.ceil((east - _HALF_TURN) / _TURN)
    for turn in range(first, last + 1):
        shift = turn * _TURN
        sheet = shapely.box(shift - _HALF_TURN, -90, shift + _HALF_TURN, 90)
        piece = shapely.set_precision(
            shapely.transform(polygon.intersection(sheet), lambda xy, by=shift: xy - [by, 0]),
            10.0**-decimals,
        )
        parts = shapely.get_parts(piece)
        pieces += list(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])
    return list(shapely.orient_polygons(np.array(pieces)))


_WGS84 = CRS.from_string("OGC:CRS84")


def _read_degrees(crs: CRS) -> float | None:
    """Return the degrees in a unit of a geographic reference system; None for another one."""
    return math.degrees(crs.units_factor[1]) if crs.is_geographic else None


def _describe_lack(grid: Grid) -> str:
    if grid.crs is None:
        return "this one has none"
    return "this one has no transform" if grid.transform is None else "this one's is a local one"


def _draw_outline(grid: Grid) -> NDArray[np.float64]:
    along = np.linspace(0, 1, _OUTLINE_STEPS, endpoint=False)
    zeros, ones = np.zeros_like(along), np.ones_like(along)
    columns = np.concatenate([along, ones, 1 - along, zeros, [0]])
    rows = np.concatenate([zeros, along, ones, 1 - along, [0]])
    return np.stack([columns * grid.width, rows * grid.height], axis=1)
