"""Points along straight edges, which other coordinates bend."""

from __future__ import annotations

import numpy as np

from lacuna.geo.polygons.rings import Rings

SPACING = 64
"""Rows or columns between points. In other coordinates, the chord of n pixels of p metres is at
most about (n p)² / 8 R off, R = 6400 km: 8 mm for pixels of 10 m, 0.08 pixels for those of 1 km."""


def add_points(rings: Rings) -> Rings:
    """Add a point where an edge crosses a row or column that is a multiple of `SPACING`.

    An edge gets the same points from both of its sides.
    """
    points, offsets, polygons = rings
    steps = np.diff(points, axis=0)
    # What is between the last point of a ring and the first of the next one is no edge.
    steps[offsets[1:-1] - 1] = 0
    axis = np.abs(steps).argmax(axis=1)
    edges = np.arange(len(steps))
    starts, ways = points[edges, axis].astype(np.int64), steps[edges, axis].astype(np.int64)
    low, high = np.minimum(starts, starts + ways), np.maximum(starts, starts + ways)
    counts = np.where(ways == 0, 0, (high - 1) // SPACING - low // SPACING)
    sizes = np.append(counts + 1, 1)
    places = np.concatenate([[0], np.cumsum(sizes)])
    bent = np.repeat(points, sizes, axis=0)
    number = np.arange(len(bent)) - np.repeat(places[:-1], sizes)
    added = np.flatnonzero(number)
    edge = np.repeat(np.arange(len(points)), sizes)[added]
    forwards = (low[edge] // SPACING + number[added]) * SPACING
    backwards = (-(-high[edge] // SPACING) - number[added]) * SPACING
    bent[added, axis[edge]] = np.where(ways[edge] > 0, forwards, backwards)
    return Rings(bent, places[offsets], polygons)
