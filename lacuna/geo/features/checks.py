"""Faults of geometries."""

from __future__ import annotations

from typing import Any

import shapely

_POLYGONS = ("Polygon", "MultiPolygon")


def find_fault(geometry: Any) -> str:
    """Return why a geometry cannot be burnt, as what it must be and what it is; empty if it can.

    Args:
        geometry: of shapely; None, and one without points, hold no pixel and have no fault.
    """
    if geometry is None or geometry.is_empty:
        return ""
    if geometry.geom_type not in _POLYGONS:
        return f"must be a polygon; it is a {geometry.geom_type}"
    if not geometry.is_valid:
        return f"must be a valid polygon; it has {shapely.is_valid_reason(geometry)}"
    return ""
