from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS

from lacuna.errors import NotGeoreferencedError, SceneError
from lacuna.geo.grid import Grid
from lacuna.geo.polygons import encode_geojson
from tests.support.label_maps import CLASSES, INVALID, make_labels, polygonize

UTM = CRS.from_epsg(32633)
TRANSFORM = Affine(10, 0, 4e5, 0, -10, 5.5e6)


def encode(labels: Any, crs: CRS = UTM, transform: Affine = TRANSFORM, **options: Any) -> Any:
    content = encode_geojson(labels, Grid(*labels.shape, crs, transform), CLASSES, **options)
    return json.loads(content)


def test_a_feature_tells_class_name_pixels_area_and_confidence() -> None:
    labels = np.array([[2, 2, INVALID]], np.uint8)
    confidence = np.array([[0.5, 0.75, np.nan]], np.float32)
    (feature,) = encode(labels, confidence=confidence)["features"]
    area = feature["properties"].pop("area_m2")
    assert area == pytest.approx(200, rel=1e-3)
    assert feature["properties"] == {
        "class": 2,
        "name": "class 2",
        "pixels": 2,
        "confidence": 0.625,
    }
    assert feature["type"] == "Feature"


def test_without_confidence_features_do_not_tell_it() -> None:
    (feature,) = encode(np.zeros((1, 1), np.uint8))["features"]
    assert list(feature["properties"]) == ["class", "name", "pixels", "area_m2"]


def test_the_collection_is_as_its_rfc_demands() -> None:
    labels = make_labels(40, 50, seed=7, grain=2)
    collection = encode(labels)
    assert set(collection) == {"type", "features"}
    for feature in collection["features"]:
        outline, *holes = feature["geometry"]["coordinates"]
        assert shapely.LinearRing(outline).is_ccw
        assert not any(shapely.LinearRing(hole).is_ccw for hole in holes)
        assert all(ring[0] == ring[-1] for ring in (outline, *holes))
        assert shapely.geometry.shape(feature["geometry"]).is_valid


def test_polygons_are_those_of_gdal_in_longitudes_and_latitudes() -> None:
    labels = make_labels(20, 30, seed=8, grain=2)
    back = Transformer.from_crs("EPSG:4326", UTM.to_wkt(), always_xy=True)
    missing = polygonize(labels, TRANSFORM)
    for feature in encode(labels)["features"]:
        shape = shapely.geometry.shape(feature["geometry"])
        placed = shapely.transform(shape, lambda xy: np.stack(back.transform(*xy.T), axis=1))
        near = [placed.symmetric_difference(polygon).area < 1 for _, polygon in missing]
        label, _ = missing.pop(near.index(True))
        assert feature["properties"]["class"] == label
    assert not missing


def test_each_feature_has_a_line() -> None:
    labels = make_labels(10, 10, seed=9)
    grid = Grid(10, 10, UTM, TRANSFORM)
    first, *lines, last = encode_geojson(labels, grid, CLASSES).decode().splitlines()
    assert first == '{"type":"FeatureCollection","features":['
    assert last == "]}"
    assert len([json.loads(line.removesuffix(",")) for line in lines]) == len(polygonize(labels))


def test_a_label_map_without_valid_pixels_has_no_features() -> None:
    collection = encode(np.full((3, 4), INVALID, np.uint8))
    assert collection == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (CRS.from_epsg(4326), Affine(0.25, 0, 178.1, 0, -0.25, -16)),
        (CRS.from_epsg(4326), Affine(0.25, 0, -181.9, 0, -0.25, -16)),
        (CRS.from_epsg(32701), Affine(25e3, 0, 7e4, 0, -25e3, 8.2e6)),
        (CRS.from_epsg(3832), Affine(25e3, 0, 3.15e6, 0, -25e3, -1.8e6)),
    ],
    ids=["degrees from the west", "degrees from the east", "UTM", "Mercator about 150°"],
)
def test_regions_are_cut_at_the_antimeridian(crs: CRS, transform: Affine) -> None:
    labels = make_labels(14, 16, seed=10, grain=3, invalid=0)
    features = encode(labels, crs, transform)["features"]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    assert any(shape.geom_type == "MultiPolygon" for shape in shapes)
    assert shapely.is_valid(shapes).all()
    west, _, east, _ = shapely.total_bounds(shapes)
    assert (west, east) == (-180, 180)
    assert all(part.exterior.is_ccw for part in shapely.get_parts(shapes))
    # No gaps and no overlaps: the pieces cover what all of them together cover.
    assert shapely.area(shapes).sum() == pytest.approx(shapely.union_all(shapes).area, rel=1e-6)
    assert max(shape.bounds[2] - shape.bounds[0] for shape in shapely.get_parts(shapes)) < 10
    # A point inside of each pixel lies in a polygon of its class, and in none of another.
    rows, columns = np.indices(labels.shape) + 0.4
    x, y = transform @ (columns.ravel(), rows.ravel())
    to_degrees = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True)
    longitudes, latitudes = to_degrees.transform(x, y)
    longitudes = (np.array(longitudes) + 180) % 360 - 180
    for longitude, latitude, label in zip(longitudes, latitudes, labels.ravel(), strict=True):
        inside = shapely.contains_xy(shapes, longitude, latitude)
        assert [
            f["properties"]["class"] for f, is_in in zip(features, inside, strict=True) if is_in
        ] == [label]


def test_a_world_map_keeps_its_labels() -> None:
    labels = make_labels(90, 180, seed=11, grain=4)
    transform = Affine(2, 0, 0, 0, -2, 90)
    features = encode(labels, CRS.from_epsg(4326), transform)["features"]
    shapes = [(f["geometry"], f["properties"]["class"]) for f in features]
    burnt = rasterio.features.rasterize(
        shapes,
        out_shape=labels.shape,
        fill=INVALID,
        dtype="uint8",
        transform=Affine(2, 0, -180, 0, -2, 90),
    )
    np.testing.assert_array_equal(burnt, np.roll(labels, 90, axis=1))


def test_an_image_without_a_reference_system_is_refused() -> None:
    labels = np.zeros((2, 2), np.uint8)
    with pytest.raises(NotGeoreferencedError, match="this one has none"):
        encode_geojson(labels, Grid(2, 2), CLASSES)


def test_a_label_of_no_class_is_refused() -> None:
    with pytest.raises(SceneError, match=r"ids of the classes \[0, 1, 2, 3\]; the raster has 9"):
        encode(np.full((1, 1), 9, np.uint8))
