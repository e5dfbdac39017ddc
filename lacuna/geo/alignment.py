"""Comparison of the grids of two rasters that belong together."""

from __future__ import annotations

from affine import Affine

from lacuna.geo.grid import Grid

_TOLERANCE = 0.1
"""Distance in pixels that the corners of two grids may have. World files round their numbers, and a
shift by half a pixel is the usual mistake."""


def describe_misalignment(grid: Grid, other: Grid) -> str:
    """Return how the grid of a raster differs from another one.

    Args:
        grid: of the raster.
        other: of the image that it belongs to.

    Returns:
        What differs, with both values; empty if nothing does, or if one of them has no place on
        Earth.
    """
    if not _is_placed(grid) or not _is_placed(other):
        return ""
    facts = {
        "size": (_show_size(grid), _show_size(other), grid.size == other.size),
        "coordinate reference system": (_show_crs(grid), _show_crs(other), _same_crs(grid, other)),
        "transform": (_show_place(grid), _show_place(other), _same_place(grid, other)),
    }
    return "; ".join(
        f"its {name} is {mine}, the image's {theirs}"
        for name, (mine, theirs, same) in facts.items()
        if not same
    )


def _is_placed(grid: Grid) -> bool:
    return grid.transform is not None or bool(grid.gcps)


def _same_crs(grid: Grid, other: Grid) -> bool:
    return bool((grid.crs or grid.gcps_crs) == (other.crs or other.gcps_crs))


def _same_place(grid: Grid, other: Grid) -> bool:
    if grid.transform is None or other.transform is None:
        return grid.transform is other.transform and _list_points(grid) == _list_points(other)
    to_pixels = ~other.transform
    corners = [(x, y) for x in (0, other.width) for y in (0, other.height)]
    return all(
        abs(a - b) <= _TOLERANCE
        for corner in corners
        for a, b in zip(_apply(to_pixels, _apply(grid.transform, corner)), corner, strict=True)
    )


def _apply(transform: Affine, point: tuple[float, float]) -> tuple[float, float]:
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * point[0] + b * point[1] + c, d * point[0] + e * point[1] + f


def _list_points(grid: Grid) -> list[tuple[float, ...]]:
    return [(point.row, point.col, point.x, point.y) for point in grid.gcps]


def _show_size(grid: Grid) -> str:
    return f"{grid.height}×{grid.width}"


def _show_crs(grid: Grid) -> str:
    crs = grid.crs or grid.gcps_crs
    if crs is None:
        return "none"
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_wkt()[:60]


def _show_place(grid: Grid) -> str:
    if grid.transform is None:
        return f"{len(grid.gcps)} ground control points"
    return "(" + ", ".join(f"{number:.10g}" for number in tuple(grid.transform)[:6]) + ")"
