"""Burning of features into windows of a raster's grid.

A pixel belongs to a feature that holds its centre; of several, to the last one. Vertices are
brought to the pixels of the whole raster first, and from there to those of a window by whole
numbers, so that a window is burnt as the whole raster is.

Where coordinate reference systems differ, edges are straight in that of the features. Long edges
are divided for that, so that features which miss a window's box in their own system miss the
window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.warp import transform, transform_bounds

from lacuna.errors import SceneError
from lacuna.geo.environment import gdal
from lacuna.geo.features.files import Box, FeatureFile, Features
from lacuna.geo.grid import Grid
from lacuna.windows.window import Window

_SEGMENTS = 64
"""Least number of parts of an edge as long as the raster. An edge bends by less than a hundredth of
a pixel between two of them, for rasters of up to 100 km."""


_UNIT = Affine.scale(2)
"""Vertices are in halves of pixels, because rasterio warns of the identity as a transform."""


class FeatureGrid:
    """Features on the grid of a raster. One thread at a time may use it.

    Args:
        features: polygons.
        grid: the raster's.

    Raises:
        SceneError: if the raster has no transform, or if only one of both has a coordinate
            reference system, or if these cannot be related.
    """

    def __init__(self, features: FeatureFile, grid: Grid) -> None:
        self._features, self._grid = features, grid
        if grid.transform is None:
            raise SceneError(
                "polygons need an image with a transform; it has "
                + ("ground control points alone" if grid.gcps else "none")
            )
        if (features.crs is None) != (grid.crs is None):
            whose = "the image has" if features.crs is None else f"{features.name} has"
            raise SceneError(
                "polygons and image must both have a coordinate reference system, or neither; "
                f"only {whose} one"
            )
        self._to_pixels = _UNIT * ~grid.transform
        self._is_warped = features.crs != grid.crs
        self._extent = self._find_box(Window(0, 0, grid.height, grid.width))

    def check_overlap(self) -> None:
        """Hold the features to the place of the raster.

        Raises:
            SceneError: if the box of all features misses that of the raster.
        """
        left, bottom, right, top = self._features.bounds
        x0, y0, x1, y1 = self._extent
        if left > x1 or right < x0 or bottom > y1 or top < y0:
            crs = self._features.crs
            raise SceneError(
                "polygons must overlap their image; in "
                f"{'their coordinates' if crs is None else crs.to_string()[:30]} they cover "
                f"{_show(self._features.bounds)}, and the image {_show(self._extent)}"
            )

    def find(self, window: Window) -> Features:
        """Read the features that touch a window.

        Args:
            window: inside the raster.

        Raises:
            SceneError: if the file is damaged or cannot be read.
        """
        return self._features.read(self._find_box(window))

    def burn(
        self, features: Features, labels: NDArray[np.uint8], window: Window, background: int
    ) -> NDArray[np.uint8]:
        """Burn features into a window.

        Args:
            features: valid polygons, from `find`.
            labels: uint8 (n,), of each feature.
            window: inside the raster.
            background: label of pixels outside all features.

        Returns:
            uint8 (H, W).
        """
        with gdal(
            "polygons must lie where their coordinates hold", self._features.name, SceneError
        ):
            shapes = self._place(features.geometries)
            drawn = [
                pair for pair in zip(shapes, labels.tolist(), strict=True) if not pair[0].is_empty
            ]
            if not drawn:
                return np.full((window.height, window.width), background, np.uint8)
            return np.asarray(
                rasterize(
                    drawn,
                    (window.height, window.width),
                    fill=background,
                    transform=_UNIT * Affine.translation(window.left, window.top),
                    dtype=np.uint8,
                )
            )

    def _find_box(self, window: Window) -> Box:
        """Return a box that holds a window, in coordinates of the features."""
        grown = window.grow(1)
        columns = np.array([grown.left, grown.left + grown.width] * 2)
        rows = np.repeat([grown.top, grown.top + grown.height], 2)
        x, y = _apply(self._grid.transform, columns, rows)
        box = float(x.min()), float(y.min()), float(x.max()), float(y.max())
        if not self._is_warped:
            return box
        rule = "coordinates of the image must be known in those of its polygons"
        with gdal(rule, self._features.name, SceneError):
            left, bottom, right, top = transform_bounds(self._grid.crs, self._features.crs, *box)
        if not np.isfinite([left, bottom, right, top]).all():
            raise SceneError(f"{rule}; {self._features.name}: some are infinite")
        # Across the antimeridian, the left is east of the right.
        return (left, bottom, right, top) if left <= right else (-180.0, bottom, 180.0, top)

    def _place(self, geometries: NDArray[Any]) -> NDArray[Any]:
        """Return geometries in halves of pixels of the whole raster."""
        if self._is_warped:
            left, bottom, right, top = self._extent
            width, height = right - left, top - bottom
            # What is far away may have no coordinates there.
            around = left - width, bottom - height, right + width, top + height
            clipped = shapely.clip_by_rect(geometries, *around)
            geometries = shapely.segmentize(clipped, max(width, height) / _SEGMENTS)
        return np.asarray(shapely.transform(geometries, self._to_pixel_coordinates))

    def _to_pixel_coordinates(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = coordinates.T
        if self._is_warped:
            x, y = map(np.array, transform(self._features.crs, self._grid.crs, x, y))
        return np.stack(_apply(self._to_pixels, x, y), axis=1)


def _apply(
    affine: Affine | None, x: NDArray[Any], y: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b, c, d, e, f = tuple(affine or Affine.identity())[:6]
    return a * x + b * y + c, d * x + e * y + f


def _show(box: Box) -> str:
    left, bottom, right, top = (f"{side:.8g}" for side in box)
    return f"x {left} to {right}, y {bottom} to {top}"
