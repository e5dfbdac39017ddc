"""GeoJSON (RFC 7946), read whole.

Coordinates are longitude and latitude in WGS 84. The member `crs` of the specification of 2008,
which GDAL and QGIS still write, names another system.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from shapely.geometry import shape

from lacuna.errors import SceneError
from lacuna.excerpts import quote
from lacuna.geo.features.files import Box, FeatureFile, Features, check_field, parse_crs

_WGS84 = "EPSG:4326"
_LONGITUDE_FIRST = "CRS84"
_MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, shapely.GEOSException)


class GeoJsonFile(FeatureFile):
    """Features of a GeoJSON file, in memory.

    Args:
        path: of the file.
        field: attribute that is read.

    Raises:
        SceneError: if it is not a FeatureCollection, has no features, or no such attribute.
    """

    def __init__(self, path: Path, field: str) -> None:
        self.name = str(path)
        content = _load(path)
        entries = content["features"]
        properties = [_read_properties(entry, self.name) for entry in entries]
        check_field(field, (key for values in properties for key in values), self.name)
        self.crs = _read_crs(content, self.name)
        self._features = Features(
            np.arange(1, len(entries) + 1),
            _to_objects([values.get(field) for values in properties]),
            _to_objects(
                [_read_geometry(entry, n, self.name) for n, entry in enumerate(entries, 1)]
            ),
        )
        self._tree = shapely.STRtree(self._features.geometries)
        left, bottom, right, top = shapely.total_bounds(self._features.geometries).tolist()
        self.bounds = left, bottom, right, top

    def read(self, box: Box) -> Features:
        """Return the features whose bounds touch a box."""
        return self._features.take(np.sort(self._tree.query(shapely.box(*box))))


def _load(path: Path) -> dict[str, Any]:
    rule = "polygons must be a FeatureCollection of GeoJSON"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SceneError(f"{rule}; {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SceneError(f"{rule}; {path} is not JSON: {error}") from error
    kind = content.get("type") if isinstance(content, dict) else content
    if kind != "FeatureCollection" or not isinstance(content.get("features"), list):
        raise SceneError(f"{rule}; {path} is {quote(kind)}")
    if not content["features"]:
        raise SceneError(f"polygons must be given; {path} has no features")
    return dict(content)


def _read_properties(entry: Any, name: str) -> dict[str, Any]:
    if not isinstance(entry, dict) or entry.get("type") != "Feature":
        raise SceneError(f"features must be of type Feature; {name} holds {quote(entry)}")
    return entry.get("properties") or {}


def _read_geometry(entry: dict[str, Any], number: int, name: str) -> Any:
    geometry = entry.get("geometry")
    try:
        return None if geometry is None else shapely.force_2d(shape(geometry))
    except _MALFORMED as error:
        raise SceneError(
            f"geometries must be those of GeoJSON; feature {number} of {name} has "
            f"{quote(geometry)}: {error}"
        ) from error


def _read_crs(content: dict[str, Any], name: str) -> CRS | None:
    if "crs" not in content:
        return CRS.from_user_input(_WGS84)
    member = content["crs"]
    if member is None:
        return None
    try:
        text = str(member["properties"]["name"])
    except (TypeError, KeyError):
        raise SceneError(f"crs must name a system; that of {name} is {quote(member)}") from None
    return parse_crs(_WGS84 if text.endswith(_LONGITUDE_FIRST) else text, name)


def _to_objects(items: list[Any]) -> NDArray[Any]:
    array = np.empty(len(items), object)
    array[:] = items
    return array
