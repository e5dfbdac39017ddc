"""Areas of a grid's pixels on the ellipsoid.

A pixel's area is that of the quadrilateral of its corners in an equal-area projection: cylindrical
for longitudes and latitudes, Lambert's azimuthal one about the middle of the grid for a projected
coordinate reference system, both on that system's ellipsoid.

Projecting every corner takes half a microsecond each. But the area varies so smoothly over a grid
that a polynomial gives it to ten digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid

_Floats: TypeAlias = NDArray[np.float64]
_Projection: TypeAlias = Callable[[_Floats, _Floats], tuple[_Floats, _Floats]]

_LEAST_SIDE_M = 100.0
"""Side of the square that stands for a smaller pixel. PROJ's coordinates are exact to about a
nanometre, 10⁻¹¹ of it; on a square of this side, curvature is as small."""

_ORDERS = (5, 9, 17, 33, 65)
_TOLERANCE = 1e-10
"""Largest share of the last coefficients of a polynomial that fits."""


class PixelAreas(Protocol):
    """Areas of the pixels of a grid.

    Attributes:
        typical: area of the pixel in the middle, in square metres.
    """

    typical: float

    def of_rows(self, first: int, count: int) -> _Floats:
        """Return the areas of rows, float64 (count, W), in square metres; NaN if unknown."""
        ...


def measure_pixels(grid: Grid) -> PixelAreas | None:
    """Measure the pixels of a grid.

    Returns:
        None if the grid has no transform, or no coordinate reference system on an ellipsoid.
    """
    project = _find_projection(grid)
    if project is None:
        return None
    height, width = grid.size
    middle = np.array([height / 2]), np.array([width / 2])
    typical = float(_measure_squares(project, *middle, 1.0)[0])
    if not (math.isfinite(typical) and typical > 0):
        return None
    side = max(1.0, _LEAST_SIDE_M / math.sqrt(typical))
    coefficients = _fit(project, grid, side)
    if coefficients is None:
        return _EachPixel(project, width, typical)
    return _SmoothAreas(coefficients, grid, typical)


class _SmoothAreas:
    """Areas by a polynomial in row and column."""

    def __init__(self, coefficients: _Floats, grid: Grid, typical: float) -> None:
        height, width = grid.size
        columns = (2 * np.arange(width) + 1) / width - 1
        self._order = len(coefficients)
        self._of_columns = coefficients @ chebyshev.chebvander(columns, self._order - 1).T
        self._height = height
        self.typical = typical

    def of_rows(self, first: int, count: int) -> _Floats:
        rows = (2 * np.arange(first, first + count) + 1) / self._height - 1
        factors = chebyshev.chebvander(rows, self._order - 1)
        # Row by row: the bits of a product of matrices depend on their sizes.
        return np.stack([row @ self._of_columns for row in factors])


class _EachPixel:
    """Areas by the corners of each pixel, where no polynomial fits."""

    def __init__(self, project: _Projection, width: int, typical: float) -> None:
        self._project, self._width = project, width
        self.typical = typical

    def of_rows(self, first: int, count: int) -> _Floats:
        rows = np.arange(first, first + count + 1, dtype=np.float64)[:, None]
        columns = np.arange(self._width + 1, dtype=np.float64)[None]
        x, y = self._project(*np.broadcast_arrays(rows, columns))
        return _measure_quadrilaterals(x, y)


def _fit(project: _Projection, grid: Grid, side: float) -> _Floats | None:
    """Return coefficients of Chebyshev polynomials in row and column; None if none fit."""
    height, width = grid.size
    for order in _ORDERS:
        nodes = chebyshev.chebpts1(order)
        rows, columns = np.meshgrid(
            (nodes + 1) / 2 * height, (nodes + 1) / 2 * width, indexing="ij"
        )
        areas = _measure_squares(project, rows, columns, side)
        if not np.isfinite(areas).all():
            return None
        inverse = np.linalg.inv(chebyshev.chebvander(nodes, order - 1))
        coefficients: _Floats = inverse @ areas @ inverse.T
        last = max(np.abs(coefficients[-2:]).max(), np.abs(coefficients[:, -2:]).max())
        if last <= _TOLERANCE * abs(coefficients[0, 0]):
            return coefficients
    return None


def _measure_squares(
    project: _Projection, rows: _Floats, columns: _Floats, side: float
) -> _Floats:
    """Return the area of a pixel about each point, from a square of several pixels' side."""
    steps = np.array([-side / 2, side / 2])
    x, y = project(
        *np.broadcast_arrays(
            rows[..., None, None] + steps[:, None], columns[..., None, None] + steps
        )
    )
    return _measure_quadrilaterals(x, y)[..., 0, 0] / side**2


def _measure_quadrilaterals(x: _Floats, y: _Floats) -> _Floats:
    """Return the areas of the cells of a grid of points (..., H + 1, W + 1)."""
    down_x, down_y = (z[..., 1:, 1:] - z[..., :-1, :-1] for z in (x, y))
    up_x, up_y = (z[..., :-1, 1:] - z[..., 1:, :-1] for z in (x, y))
    return np.abs(down_x * up_y - down_y * up_x) / 2


def _find_projection(grid: Grid) -> _Projection | None:
    """Return the equal-area projection of a grid, from rows and columns to metres."""
    crs, transform = grid.crs, grid.transform
    if crs is None or transform is None or not (crs.is_geographic or crs.is_projected):
        return None
    ellipsoid = _find_ellipsoid(crs.to_dict(projjson=True))
    if ellipsoid is None:
        return None
    semi_major, flattening = ellipsoid

    def place(rows: _Floats, columns: _Floats) -> tuple[_Floats, _Floats]:
        t = transform
        return t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f

    if crs.is_geographic:
        _, radians = crs.units_factor
        middle, _ = place(np.array(grid.height / 2), np.array(grid.width / 2))

        def project_degrees(rows: _Floats, columns: _Floats) -> tuple[_Floats, _Floats]:
            longitudes, latitudes = place(rows, columns)
            eastings = semi_major * radians * (longitudes - middle)
            return eastings, _cylindrical_y(radians * latitudes, semi_major, flattening)

        return project_degrees
    shape = f"+a={semi_major!r} +b={semi_major * (1 - flattening)!r}"
    x, y = place(np.array([grid.height / 2]), np.array([grid.width / 2]))
    longitude, latitude = map(float, np.ravel(_transform(crs, f"+proj=longlat {shape}", x, y)))
    if not (math.isfinite(longitude) and math.isfinite(latitude)):
        return None
    azimuthal = f"+proj=laea +lat_0={latitude!r} +lon_0={longitude!r} {shape} +units=m"
    return lambda rows, columns: _transform(crs, azimuthal, *place(rows, columns))


def _transform(crs: CRS, target: str, x: _Floats, y: _Floats) -> tuple[_Floats, _Floats]:
    with gdal("coordinates must have a place on Earth", "the raster"):
        found_x, found_y = transform_points(crs, target, x.ravel(), y.ravel())
    arrays = np.array([found_x, found_y])
    arrays[~np.isfinite(arrays)] = np.nan
    return arrays[0].reshape(x.shape), arrays[1].reshape(x.shape)


def _cylindrical_y(latitudes: _Floats, semi_major: float, flattening: float) -> _Floats:
    """Return northings of the cylindrical equal-area projection; Snyder 1987, (3-12), (10-15)."""
    # Some global grids have half a pixel more than there is.
    sine = np.sin(np.clip(latitudes, -math.pi / 2, math.pi / 2))
    if flattening == 0:
        return semi_major * sine
    e2 = flattening * (2 - flattening)
    e = math.sqrt(e2)
    q = (1 - e2) * (sine / (1 - e2 * sine**2) + np.arctanh(e * sine) / e)
    return semi_major / 2 * q


def _find_ellipsoid(projjson: Any) -> tuple[float, float] | None:
    """Return semi-major axis in metres and flattening of a coordinate reference system."""
    if not isinstance(projjson, Mapping | list):
        return None
    found = projjson.get("ellipsoid") if isinstance(projjson, Mapping) else None
    if found is None:
        values = projjson.values() if isinstance(projjson, Mapping) else projjson
        inner = (_find_ellipsoid(value) for value in values)
        return next((ellipsoid for ellipsoid in inner if ellipsoid is not None), None)
    major = _in_metres(found.get("semi_major_axis", found.get("radius")))
    if "inverse_flattening" in found:
        return major, 1 / found["inverse_flattening"]
    return major, 1 - _in_metres(found.get("semi_minor_axis", found.get("radius"))) / major


def _in_metres(length: Any) -> float:
    if isinstance(length, Mapping):
        unit = length["unit"]
        factor = unit["conversion_factor"] if isinstance(unit, Mapping) else 1.0
        return float(length["value"] * factor)
    return float(length)
