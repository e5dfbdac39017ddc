"""Coordinates of the corners of pixels, in the raster's own system."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from lacuna.errors import NotGeoreferencedError
from lacuna.geo.grid import Grid


class Placement(Protocol):
    """Way from columns and rows to coordinates."""

    def place(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return coordinates (N, 2) of points (N, 2) that are given as columns and rows."""
        ...


class GridPlacement:
    """Coordinates in the raster's own system; columns and rows if it has no transform.

    Args:
        grid: place of the raster.

    Raises:
        NotGeoreferencedError: if the raster has ground control points in place of a transform. A
            polynomial through these misses them by many pixels, and another one is as good.
    """

    def __init__(self, grid: Grid) -> None:
        if grid.transform is None and grid.gcps:
            raise NotGeoreferencedError(
                "polygons need a raster with a transform; this one has only ground control points "
                "(gdalwarp makes a raster with a transform of it)"
            )
        self._transform = grid.transform or Affine.identity()

    def place(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return coordinates (N, 2) of points (N, 2) that are given as columns and rows."""
        t, (columns, rows) = self._transform, points.T
        x, y = t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f
        return np.stack([x, y], axis=1)


def corners_of_middle(grid: Grid) -> NDArray[np.float64]:
    """Return columns and rows (3, 2) in the middle of a grid: of a point, one right, one below."""
    middle = np.array([grid.width / 2, grid.height / 2])
    return np.stack([middle, middle + np.array([1, 0]), middle + np.array([0, 1])])


def is_mirrored(placement: Placement, grid: Grid) -> bool:
    """Return True if coordinates mirror columns and rows: where north is up, for example."""
    origin, right, below = placement.place(corners_of_middle(grid))
    across, down = right - origin, below - origin
    return bool(across[0] * down[1] < across[1] * down[0])
