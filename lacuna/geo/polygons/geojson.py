"""Regions as GeoJSON, a feature a line (RFC 7946)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from lacuna.geo.grid import Grid
from lacuna.geo.polygons.bending import add_points
from lacuna.geo.polygons.longitudes import LonLatPlacement, cut_at_antimeridian
from lacuna.geo.polygons.placement import is_mirrored
from lacuna.geo.polygons.regions import Regions, name_classes
from lacuna.geo.polygons.stream import RegionStream
from lacuna.segmentation import ClassInfo

_MAX_POINTS = 1 << 18
_HEAD = b'{"type":"FeatureCollection","features":[\n'
_TAIL = b"\n]}\n"


def encode_geojson(
    labels: NDArray[np.uint8],
    grid: Grid,
    classes: Sequence[ClassInfo],
    confidence: NDArray[np.floating[Any]] | None = None,
) -> bytes:
    """Return the regions of a label map as GeoJSON.

    Args:
        labels: uint8 (H, W), 255 = invalid.
        grid: its size and place.
        classes: the classes that its labels name.
        confidence: float (H, W), 0 to 1 where labels are valid; None for features without it.

    Raises:
        NotGeoreferencedError: if the grid cannot be given in longitudes and latitudes.
    """
    placement = LonLatPlacement(grid)
    stream = RegionStream(grid, mirror=is_mirrored(placement, grid))
    regions = chain(stream.feed(labels, confidence), stream.finish())
    return b"".join(write_features(regions, placement, name_classes(classes)))


def write_features(
    batches: Iterable[Regions], placement: LonLatPlacement, names: Mapping[int, str]
) -> Iterator[bytes]:
    """Yield the text of a collection of features, in parts.

    Args:
        batches: the regions.
        placement: way to longitudes and latitudes.
        names: names of the classes.
    """
    separator = _HEAD
    for batch in batches:
        for part in batch.divide(_MAX_POINTS):
            lines = ",\n".join(_write_lines(part, placement, names))
            yield separator + lines.encode()
            separator = b",\n"
    yield (_HEAD if separator is _HEAD else b"") + _TAIL


def _write_lines(
    regions: Regions, placement: LonLatPlacement, names: Mapping[int, str]
) -> Iterator[str]:
    regions = replace(regions, rings=add_points(regions.rings))
    coordinates = placement.place(regions.rings.points)
    columns = regions.to_columns(names)
    geometries = _make_geometries(regions, coordinates, placement.decimals)
    for *values, geometry in zip(*columns.values(), geometries, strict=True):
        feature = {
            "type": "Feature",
            "properties": dict(zip(columns, values, strict=True)),
            "geometry": geometry,
        }
        yield json.dumps(feature, ensure_ascii=False, separators=(",", ":"))


def _make_geometries(
    regions: Regions, coordinates: NDArray[np.float64], decimals: int
) -> Iterator[dict[str, Any]]:
    rings = regions.rings
    outside = np.abs(coordinates[:, 0]) > 180
    points, starts = coordinates.tolist(), rings.rings.tolist()
    for first, last in zip(rings.polygons, rings.polygons[1:], strict=False):
        parts = [points[starts[n] : starts[n + 1]] for n in range(first, last)]
        if outside[starts[first] : starts[last]].any():
            pieces = cut_at_antimeridian(shapely.Polygon(parts[0], parts[1:]), decimals)
            yield _join([_round(piece, decimals) for piece in pieces])
        else:
            yield {"type": "Polygon", "coordinates": parts}


def _round(polygon: Any, decimals: int) -> list[Any]:
    rings = [polygon.exterior, *polygon.interiors]
    return [np.round(shapely.get_coordinates(ring), decimals).tolist() for ring in rings]


def _join(polygons: list[Any]) -> dict[str, Any]:
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}
