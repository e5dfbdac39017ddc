"""Polygons of the regions of a label map, whatever its size."""

from __future__ import annotations

from lacuna.geo.polygons.geojson import encode_geojson
from lacuna.geo.polygons.writing import (
    check_polygons,
    load_format,
    load_formats,
    write_polygons,
)

__all__ = ["check_polygons", "encode_geojson", "load_format", "load_formats", "write_polygons"]
