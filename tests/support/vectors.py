"""Vector files for tests."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf"}


def write_features(
    path: Path,
    geometries: Sequence[Any],
    values: Sequence[Any],
    crs: str | None = None,
    field: str = "class",
    **options: Any,
) -> Path:
    """Write features with one attribute.

    Args:
        path: the file; its suffix tells the format.
        geometries: of shapely.
        values: of the attribute.
        crs: name of the coordinate reference system; None for none, which GeoJSON calls null.
        field: the attribute.
        **options: of pyogrio.
    """
    if path.suffix == ".geojson":
        path.write_text(json.dumps(_to_geojson(geometries, values, crs, field)))
        return path
    kinds = {f"{geometry.geom_type}{' Z' * geometry.has_z}" for geometry in geometries}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pyogrio misses a CRS
        pyogrio.raw.write(
            path,
            np.array(shapely.to_wkb(np.array(geometries)), object),
            [np.array(values)],
            [field],
            geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
            crs=crs,
            driver=_DRIVERS[path.suffix],
            **options,
        )
    return path


def _to_geojson(
    geometries: Sequence[Any], values: Sequence[Any], crs: str | None, field: str
) -> dict[str, Any]:
    member = None if crs is None else {"type": "name", "properties": {"name": crs}}
    entries = [
        {
            "type": "Feature",
            "properties": {field: value},
            "geometry": None if geometry is None else shapely.geometry.mapping(geometry),
        }
        for geometry, value in zip(geometries, values, strict=True)
    ]
    return {"type": "FeatureCollection", "crs": member, "features": entries}
