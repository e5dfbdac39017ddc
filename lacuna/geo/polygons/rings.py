"""Rings of regions, from their vertices alone.

The edges of regions that run in one direction along one line do not overlap. So the vertices at
which such an edge begins, and those at which one ends, alternate, and sorting them joins the
vertices to rings (O'Rourke 1988, "Uniqueness of orthogonal connect-the-dots"). Nothing else need
be kept of a region while its rows go by.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.geo.polygons.vertices import (
    EAST,
    NORTH,
    SOUTH,
    WEST,
    columns_of,
    places_of,
    rows_of,
)

_VISITED = -1


class Rings(NamedTuple):
    """Rings of polygons; the first one of a polygon is its outline, and the others are its holes.

    Attributes:
        points: int32 (N, 2), column and row of the points; the first point of a ring is repeated
            at its end.
        rings: int64 (R + 1,), the first point of each ring, and N.
        polygons: int64 (P + 1,), the first ring of each polygon, and R.
    """

    points: NDArray[np.int32]
    rings: NDArray[np.int64]
    polygons: NDArray[np.int64]


def trace_rings(
    vertices: NDArray[np.int64], owners: NDArray[np.int32], count: int, *, mirror: bool = False
) -> Rings:
    """Trace the rings of regions.

    Args:
        vertices: int64 (N,), all vertices of the regions, sorted.
        owners: int64 (N,), the region of each vertex, from 0.
        count: number of regions.
        mirror: False for outlines that are clockwise as the image is seen, and holes that are
            counterclockwise; True for the opposite.

    Returns:
        The rings of region 0, 1, …. Each begins at its first vertex, and the rings of a region
        are in the order of these. No ring meets itself; holes may touch each other and the
        outline in points.
    """
    successors = _link(_part_touching(vertices, owners))
    if mirror:
        successors[successors.copy()] = np.arange(len(successors), dtype=np.int32)
    order, lengths = _walk(successors, np.argsort(owners, kind="stable"))
    ends = np.cumsum(lengths)
    firsts = order[ends - lengths]
    closed = vertices[np.insert(order, ends, firsts)]
    points = np.empty((len(closed), 2), np.int32)
    points[:, 0], points[:, 1] = columns_of(closed), rows_of(closed)
    per_region = np.bincount(owners[firsts], minlength=count)
    return Rings(points, _offsets(lengths + 1), _offsets(per_region))


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)])


def _part_touching(vertices: NDArray[np.int64], owners: NDArray[np.int32]) -> NDArray[np.int64]:
    """Let rings turn left where two pixels of one region touch at a corner.

    Otherwise a ring would pass that vertex twice. The two pixels are joined elsewhere, so this
    never joins the outlines of two regions, and it cuts a hole off the ring.
    """
    places = places_of(vertices)
    (second,) = np.nonzero((places[1:] == places[:-1]) & (owners[1:] == owners[:-1]))
    change = (vertices[second + 1] & 3) - (vertices[second] & 3)
    parted = vertices.copy()
    parted[second] += change
    parted[second + 1] -= change
    return parted


def _link(vertices: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the next vertex of each vertex along its ring, int32 (N,)."""
    incoming, outgoing = ((vertices >> bits & 3).astype(np.uint8) for bits in (2, 0))
    successors = np.empty(len(vertices), np.int32)
    for direction in (EAST, WEST):
        successors[outgoing == direction] = np.flatnonzero(incoming == direction)
    by_column = np.argsort((columns_of(vertices) << 36) + rows_of(vertices))
    incoming, outgoing = incoming[by_column], outgoing[by_column]
    for direction in (SOUTH, NORTH):
        successors[by_column[outgoing == direction]] = by_column[incoming == direction]
    return successors


def _walk(
    successors: NDArray[np.int32], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the vertices ring by ring, and the number of vertices of each ring."""
    # Buffers, not lists: a vertex takes 16 bytes instead of 120.
    following = successors.data
    order, lengths = array("i"), array("q")
    for start in starts.data:
        if following[start] == _VISITED:
            continue
        begin, here = len(order), start
        while (next_one := following[here]) != _VISITED:
            order.append(here)
            following[here] = _VISITED
            here = next_one
        lengths.append(len(order) - begin)
    return np.frombuffer(order, np.int32), np.frombuffer(lengths, np.int64)
