"""Areas of pixels on the ellipsoid of WGS 84, in square metres.

The pixels of a projected raster differ in area: in UTM by a part in 500, in Mercator's projection
without bounds. An equal-area projection is right everywhere, and slow to compute for every corner.
But it is smooth: over a box of pixels, two polynomials give its coordinates to the last digits that
PROJ has, and a third the area of each pixel, which is the determinant of their derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform

from lacuna.errors import NotGeoreferencedError
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.windows.window import Window

_POINTS = 13
_NODES = np.cos(np.pi * (np.arange(_POINTS) + 0.5) / _POINTS)
_FIT = np.linalg.inv(chebyshev.chebvander(_NODES, _POINTS - 1))

_INTEGRALS = np.array([chebyshev.chebint(term) for term in np.eye(_POINTS)])

_TOLERANCE = 1e-10
"""Largest part of an area that the last terms of its polynomial may have, or its box is divided."""

_SMOOTH_M = 100_000
"""Side of a box in which any projection is smooth. What is left there is the noise of PROJ."""

_LEAST_SIDE = 16
"""Least side of a box that is divided, in pixels."""

_MOST_BOXES = 512
"""Most boxes of a raster: a second of work. A map of the whole world in Mercator's takes 160."""

_STRIP_PIXELS = 1 << 18


@dataclass(frozen=True)
class _Box:
    """Part of a raster, and the polynomial of its pixels' areas."""

    window: Window
    terms: NDArray[np.float64]


class PixelAreas:
    """Areas of the pixels of a raster.

    Args:
        grid: with a CRS and a transform.

    Raises:
        NotGeoreferencedError: if it has none, or they do not lead to the ellipsoid.
    """

    def __init__(self, grid: Grid) -> None:
        self._width = grid.width
        fitted = _fit(grid, Window(0, 0, grid.height, grid.width))
        self._boxes = tuple(islice(fitted, _MOST_BOXES + 1))
        if len(self._boxes) > _MOST_BOXES:
            raise NotGeoreferencedError(
                "pixels must have areas that change smoothly; these do not, and are not measured"
            )

    def compute(self, top: int, height: int) -> NDArray[np.float64]:
        """Compute the areas of some rows of pixels.

        Args:
            top: first row.
            height: number of rows.

        Returns:
            float64 (height, W), in m².
        """
        areas = np.empty((height, self._width))
        for window, terms in ((box.window, box.terms) for box in self._boxes):
            first, last = max(top, window.top), min(top + height, window.top + window.height)
            if first < last:
                rows = _average(first - window.top, last - window.top, window.height)
                columns = _average(0, window.width, window.width)
                across = slice(window.left, window.left + window.width)
                areas[first - top : last - top, across] = rows @ terms @ columns.T
        return areas


def measure_labels(labels: NDArray[np.uint8], areas: PixelAreas) -> NDArray[np.float64]:
    """Measure the area of each label.

    Args:
        labels: uint8 (H, W).
        areas: of the same raster.

    Returns:
        float64 (256,), in m².
    """
    rows = max(_STRIP_PIXELS // labels.shape[1], 1)
    total = np.zeros(256)
    for top in range(0, len(labels), rows):
        strip = labels[top : top + rows]
        weights = areas.compute(top, len(strip)).ravel()
        total += np.bincount(strip.ravel(), weights, minlength=256)
    return total


def _average(first: int, last: int, length: int) -> NDArray[np.float64]:
    """Return the average of each polynomial over each pixel along a side of a box."""
    edges = np.arange(first, last + 1) * 2 / length - 1
    integrals = chebyshev.chebvander(edges, _POINTS) @ _INTEGRALS.T
    averages: NDArray[np.float64] = np.diff(integrals, axis=0) * (length / 2)
    return averages


def _fit(grid: Grid, window: Window) -> Iterator[_Box]:
    """Fit a polynomial to the areas of a window's pixels, or several where one is not enough."""
    terms, side_m = _fit_box(grid, window)
    last = max(np.abs(terms[-2:]).max(), np.abs(terms[:, -2:]).max())
    is_good = last <= _TOLERANCE * abs(terms[0, 0])
    if is_good or side_m <= _SMOOTH_M or max(window.height, window.width) <= _LEAST_SIDE:
        yield _Box(window, terms)
        return
    for half in _halve(window):
        yield from _fit(grid, half)


def _halve(window: Window) -> tuple[Window, Window]:
    top, left, height, width = window
    if height > width:
        half = height // 2
        return Window(top, left, half, width), Window(top + half, left, height - half, width)
    half = width // 2
    return Window(top, left, height, half), Window(top, left + half, height, width - half)


def _fit_box(grid: Grid, window: Window) -> tuple[NDArray[np.float64], float]:
    """Return the terms of the polynomial of the areas, and the longer side in metres."""
    rows = window.top + (_NODES + 1) / 2 * window.height
    columns = window.left + (_NODES + 1) / 2 * window.width
    east, north = _project(grid, window, rows[:, None], columns[None, :])
    u, v = _FIT @ east @ _FIT.T, _FIT @ north @ _FIT.T
    down_u, down_v = _derive(u, 0), _derive(v, 0)
    across_u, across_v = _derive(u, 1), _derive(v, 1)
    values = np.abs(down_u * across_v - across_u * down_v)
    side_m = 2 * float(max(np.hypot(down_u, down_v).max(), np.hypot(across_u, across_v).max()))
    pixels = window.height * window.width / 4
    return _FIT @ (values / pixels) @ _FIT.T, side_m


def _derive(terms: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the derivative along an axis, at the nodes."""
    derived = chebyshev.chebder(terms, axis=axis)
    return np.asarray(chebyshev.chebgrid2d(_NODES, _NODES, derived), np.float64)


def _project(
    grid: Grid, window: Window, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project places of a raster to an equal-area projection around a window's centre."""
    if grid.crs is None or grid.transform is None:
        raise NotGeoreferencedError("pixels need a CRS and a transform to have an area")
    a, b, c, d, e, f = grid.transform[:6]
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    middle = window.top + window.height / 2, window.left + window.width / 2
    center = [[a * middle[1] + b * middle[0] + c], [d * middle[1] + e * middle[0] + f]]
    with gdal("pixels must lie on Earth to have an area", "the image", NotGeoreferencedError):
        (longitude,), (latitude,) = transform(grid.crs, "EPSG:4326", *center)
        if not (math.isfinite(longitude) and abs(latitude) <= 90):
            raise NotGeoreferencedError("pixels must lie on Earth to have an area; they do not")
        local = CRS.from_proj4(
            f"+proj=laea +lat_0={latitude!r} +lon_0={longitude!r} +datum=WGS84 +units=m"
        )
        east, north = transform(grid.crs, local, x.ravel(), y.ravel())
    if not (np.isfinite(east).all() and np.isfinite(north).all()):
        raise NotGeoreferencedError("pixels must lie on Earth to have an area; some do not")
    return np.reshape(east, x.shape), np.reshape(north, x.shape)
