"""Linear interpolation between pixels, over Delaunay's triangles.

As scipy.interpolate.LinearNDInterpolator, whose search for the triangle of each point takes seconds
where many corners lie on a grid. Here each triangle finds its pixels instead, row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

_TOLERANCE = 1e-9
"""Distance in pixels beyond a triangle's side at which a pixel still lies on it."""

Integers = NDArray[np.int64]


def interpolate(
    places: Integers, values: NDArray[Any], size: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Interpolate values between some pixels of an image.

    Args:
        places: int64 (n, 2), row and column of each pixel; not all on one line.
        values: (n, C), of each.
        size: height and width of the image.

    Returns:
        The pixels that lie in a triangle, bool (H, W); and the values of these, float64 (m, C), in
        row-major order.
    """
    triangles = Delaunay(places).simplices
    corners = places[triangles]
    twice_area = _cross(corners[:, 0], corners[:, 1], corners[:, 2])
    triangles, corners = triangles[twice_area != 0], corners[twice_area != 0]
    owners = _find_owners(corners, size)
    inside = owners >= 0
    owner, pixels = owners[inside], np.argwhere(inside)
    first, second, third = np.moveaxis(corners[owner], 1, 0)
    parts = (
        _cross(pixels, second, third),
        _cross(first, pixels, third),
        _cross(first, second, pixels),
    )
    weights = np.stack(parts, axis=1) / _cross(first, second, third)[:, None]
    return inside, np.einsum("nk,nkc->nc", weights, values[triangles[owner]].astype(np.float64))


def _cross(first: Integers, second: Integers, third: Integers) -> Integers:
    """Return twice the signed area of triangles, exactly."""
    (x, y), (u, v) = (second - first).T, (third - first).T
    return np.asarray(x * v - y * u)


def _find_owners(corners: Integers, size: tuple[int, int]) -> Integers:
    """Return the index of a triangle that holds each pixel, int64 (H, W); -1 where none does."""
    rows, columns = corners[..., 0], corners[..., 1]
    top = rows.min(axis=1)
    owner, row = _enumerate_ranges(top, rows.max(axis=1) - top + 1)
    left, right = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        begin, rise = rows[owner, start], rows[owner, end] - rows[owner, start]
        share = np.divide(row - begin, rise, out=np.zeros(len(row)), where=rise != 0)
        run = columns[owner, end] - columns[owner, start]
        column = columns[owner, start] + share * run
        crosses = (share >= 0) & (share <= 1) & ((rise != 0) | (row == begin))
        left = np.where(crosses, np.minimum(left, column), left)
        right = np.where(crosses, np.maximum(right, column), right)
    begin = np.ceil(left - _TOLERANCE).astype(np.int64)
    counts = np.floor(right + _TOLERANCE).astype(np.int64) - begin + 1
    span, column = _enumerate_ranges(begin, np.maximum(counts, 0))
    owners = np.full(size, -1, np.int64)
    owners[row[span], column] = owner[span]
    return owners


def _enumerate_ranges(starts: Integers, counts: Integers) -> tuple[Integers, Integers]:
    """Return the numbers of some ranges, one range after the other, and the range of each.

    Args:
        starts: int64 (n,), first number of each range.
        counts: int64 (n,), how many it has.

    Returns:
        Index of the range, and the number, int64 (sum of the counts,) both.
    """
    ranges = np.repeat(np.arange(len(starts)), counts)
    begun = np.cumsum(counts) - counts
    return ranges, starts[ranges] + np.arange(len(ranges)) - begun[ranges]
