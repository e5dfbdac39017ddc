"""The place of an image on Earth as text and numbers, which leave this package."""

from __future__ import annotations

from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from lacuna.geo.grid import Grid
from lacuna.georeference import ControlPoint, Georeference


def describe(grid: Grid) -> Georeference:
    """Return what a grid says, in text and numbers."""
    crs = grid.gcps_crs if grid.gcps else grid.crs
    transform = grid.transform
    return Georeference(
        None if crs is None else name_crs(crs),
        None
        if transform is None
        else (transform.a, transform.b, transform.c, transform.d, transform.e, transform.f),
        tuple(
            ControlPoint(point.row, point.col, point.x, point.y, point.z or 0.0)
            for point in grid.gcps
        ),
    )


def make_grid(place: Georeference, size: tuple[int, int]) -> Grid:
    """Return the grid of an image.

    Args:
        place: where it lies.
        size: height and width in pixels.
    """
    height, width = size
    crs = None if place.crs is None else CRS.from_user_input(place.crs)
    if place.gcps:
        points = tuple(
            GroundControlPoint(point.row, point.column, point.x, point.y, point.z)
            for point in place.gcps
        )
        return Grid(height, width, gcps=points, gcps_crs=crs)
    transform = None if place.transform is None else Affine(*place.transform)
    return Grid(height, width, crs, transform)


def name_crs(crs: CRS) -> str:
    """Return `EPSG:32618`, or the like, or WKT 2 where no code means the same."""
    authority = crs.to_authority()
    if authority is not None and CRS.from_authority(*authority) == crs:
        return ":".join(authority)
    return str(crs.to_wkt(version="WKT2_2019"))
