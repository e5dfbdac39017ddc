"""Areas of a grid's pixels on the ellipsoid.

A pixel's area is that of the quadrilateral of its corners in an equal-area projection: cylindrical
for longitudes and latitudes, Lambert's azimuthal one about the middle of the grid for a projected
coordinate reference system, both on that system's ellipsoid.

Projecting every corner would take half a microsecond each. But areas vary so smoothly over a grid
that a polynomial in row and column gives them to ten digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from lacuna.geo.coordinates import is_on_earth, transform_coordinates
from lacuna.geo.grid import Grid

_Floats: TypeAlias = NDArray[np.float64]
_Points: TypeAlias = tuple[_Floats, _Floats]
_Projection: TypeAlias = Callable[[_Floats, _Floats], _Points | None]

_LEAST_SIDE_M = 100.0
"""Side of the square that stands for a smaller pixel. PROJ's coordinates are exact to about a
nanometre, 10⁻¹¹ of it; on a square of this side, the curvature counts as little."""
_ORDERS = (5, 9, 17, 33, 65)
_TOLERANCE = 1e-10
"""Largest share of the last coefficients of a polynomial that fits."""


class PixelAreas(Protocol):
    """Areas of the pixels of a grid."""

    @property
    def typical(self) -> float:
        """Area of the pixel in the middle, in square metres."""
        ...

    def of_rows(self, first: int, count: int) -> _Floats:
        """Return the areas of rows, float64 (count, W), in square metres."""
        ...


def measure_pixels(grid: Grid) -> PixelAreas | None:
    """Measure the pixels of a grid.

    Returns:
        None if they are unknown: the grid has no transform, no coordinate reference system on an
        ellipsoid, or pixels outside the domain of its projection.
    """
    middle = np.array((grid.height - 1) / 2), np.array((grid.width - 1) / 2)
    for project in _list_projections(grid):
        areas = _measure_squares(project, *middle, 1.0)
        if areas is None or not float(areas) > 0:
            continue
        typical = float(areas)
        coefficients = _fit(project, grid, max(1.0, _LEAST_SIDE_M / math.sqrt(typical)))
        if coefficients is not None:
            return _SmoothAreas(coefficients, grid, typical)
        if grid.crs is not None and grid.crs.is_geographic:
            # Such a grid may end half a pixel behind a pole.
            return _EachPixel(project, grid.width, typical)
    return None


class _SmoothAreas:
    """Areas by a polynomial in row and column."""

    def __init__(self, coefficients: _Floats, grid: Grid, typical: float) -> None:
        columns = _normalize(np.arange(grid.width), grid.width)
        self._order, self._height = len(coefficients), grid.height
        self._of_columns = coefficients @ chebyshev.chebvander(columns, self._order - 1).T
        self.typical = typical

    def of_rows(self, first: int, count: int) -> _Floats:
        rows = _normalize(np.arange(first, first + count), self._height)
        factors = chebyshev.chebvander(rows, self._order - 1)
        # Row by row: the bits of a product of two matrices depend on their sizes.
        return np.stack([row @ self._of_columns for row in factors])


class _EachPixel:
    """Areas by the corners of each pixel."""

    def __init__(self, project: _Projection, width: int, typical: float) -> None:
        self._project, self._width = project, width
        self.typical = typical

    def of_rows(self, first: int, count: int) -> _Floats:
        rows = np.arange(first, first + count + 1, dtype=np.float64)
        columns = np.arange(self._width + 1, dtype=np.float64)
        corners = self._project(*np.meshgrid(rows, columns, indexing="ij"))
        if corners is None:
            raise ValueError("all pixels must be in the domain of the projection")
        return _measure_quadrilaterals(*corners)


def _normalize(indices: NDArray[np.int64], count: int) -> _Floats:
    """Return indices of rows or columns on a scale from −1 to 1."""
    return 2 * indices / max(count - 1, 1) - 1


def _fit(project: _Projection, grid: Grid, side: float) -> _Floats | None:
    """Return coefficients of Chebyshev polynomials in row and column; None if none fit."""
    for order in _ORDERS:
        nodes = chebyshev.chebpts1(order)
        rows, columns = ((nodes + 1) / 2 * (count - 1) for count in grid.size)
        areas = _measure_squares(project, *np.meshgrid(rows, columns, indexing="ij"), side)
        if areas is None:
            return None
        inverse = np.linalg.inv(chebyshev.chebvander(nodes, order - 1))
        coefficients: _Floats = inverse @ areas @ inverse.T
        last = max(np.abs(coefficients[-2:]).max(), np.abs(coefficients[:, -2:]).max())
        if last <= _TOLERANCE * abs(coefficients[0, 0]):
            return coefficients
    return None


def _measure_squares(
    project: _Projection, rows: _Floats, columns: _Floats, side: float
) -> _Floats | None:
    """Return the area of a pixel at each index, from a square of so many pixels' side about it."""
    steps = np.array([-side / 2, side / 2]) + 0.5
    down, right = rows[..., None, None] + steps[:, None], columns[..., None, None] + steps
    corners = project(*np.broadcast_arrays(down, right))
    return None if corners is None else _measure_quadrilaterals(*corners)[..., 0, 0] / side**2


def _measure_quadrilaterals(x: _Floats, y: _Floats) -> _Floats:
    """Return the areas of the cells of a grid of points (..., H + 1, W + 1)."""
    down_x, down_y = (axis[..., 1:, 1:] - axis[..., :-1, :-1] for axis in (x, y))
    up_x, up_y = (axis[..., :-1, 1:] - axis[..., 1:, :-1] for axis in (x, y))
    return np.abs(down_x * up_y - down_y * up_x) / 2


def _list_projections(grid: Grid) -> Iterator[_Projection]:
    """Yield equal-area projections of a grid, from rows and columns to metres, the best first."""
    crs, transform = grid.crs, grid.transform
    if crs is None or transform is None or not is_on_earth(crs):
        return
    ellipsoid = _find_ellipsoid(crs.to_dict(projjson=True))
    if ellipsoid is None:
        return
    major, flattening = ellipsoid

    def place(rows: _Floats, columns: _Floats) -> _Points:
        t = transform
        return t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f

    def flatten(longitudes: _Floats, latitudes: _Floats, radians: float) -> _Points:
        eastings = major * radians * (longitudes - longitudes.flat[0])
        return eastings, _find_northings(radians * latitudes, major, flattening)

    if crs.is_geographic:
        _, radians = crs.units_factor
        yield lambda rows, columns: flatten(*place(rows, columns), radians)
        return
    shape = f"+a={major!r} +b={major * (1 - flattening)!r}"
    degrees = f"+proj=longlat {shape}"
    middle = place(np.array(grid.height / 2), np.array(grid.width / 2))
    centre = transform_coordinates(crs, degrees, *middle)
    if centre is not None:
        longitude, latitude = (float(axis) for axis in centre)
        azimuthal = f"+proj=laea +lat_0={latitude!r} +lon_0={longitude!r} {shape}"
        yield lambda rows, columns: transform_coordinates(crs, azimuthal, *place(rows, columns))

    def project(rows: _Floats, columns: _Floats) -> _Points | None:
        found = transform_coordinates(crs, degrees, *place(rows, columns))
        return None if found is None else flatten(*found, math.radians(1))

    # The azimuthal one tears a grid that goes around the Earth.
    yield project


def _find_northings(latitudes: _Floats, major: float, flattening: float) -> _Floats:
    """Return northings of the cylindrical equal-area projection; Snyder 1987, (3-12), (10-15)."""
    sine = np.sin(np.clip(latitudes, -math.pi / 2, math.pi / 2))
    e2 = flattening * (2 - flattening)
    if e2 == 0:
        return major * sine
    e = math.sqrt(e2)
    return major / 2 * (1 - e2) * (sine / (1 - e2 * sine**2) + np.arctanh(e * sine) / e)


def _find_ellipsoid(projjson: Any) -> tuple[float, float] | None:
    """Return semi-major axis in metres and flattening of a coordinate reference system."""
    values = list(projjson.values()) if isinstance(projjson, Mapping) else projjson
    if not isinstance(values, list):
        return None
    if isinstance(projjson, Mapping) and "ellipsoid" in projjson:
        return _read_ellipsoid(projjson["ellipsoid"])
    inner = (_find_ellipsoid(value) for value in values)
    return next((ellipsoid for ellipsoid in inner if ellipsoid is not None), None)


def _read_ellipsoid(ellipsoid: Mapping[str, Any]) -> tuple[float, float]:
    if "radius" in ellipsoid:
        return _in_metres(ellipsoid["radius"]), 0.0
    major = _in_metres(ellipsoid["semi_major_axis"])
    if "inverse_flattening" in ellipsoid:
        return major, 1 / ellipsoid["inverse_flattening"]
    return major, 1 - _in_metres(ellipsoid["semi_minor_axis"]) / major


def _in_metres(length: Any) -> float:
    if not isinstance(length, Mapping):
        return float(length)
    unit = length["unit"]
    return float(length["value"]) * (unit["conversion_factor"] if unit != "metre" else 1.0)
