import json
import subprocess
import sys

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio.crs import CRS

from lacuna.errors import SceneError
from lacuna.geo.features.checks import find_fault
from lacuna.geo.features.files import open_features
from tests.support.vectors import write_features

SQUARES = [shapely.box(3 * x, 3 * y, 3 * x + 2, 3 * y + 2) for y in range(4) for x in range(5)]
SUFFIXES = [".geojson", ".gpkg", ".fgb"]


def refuse(path, field="class"):
    with pytest.raises(SceneError) as caught:
        open_features(path, field)
    assert "\n" not in caught.value.message
    return caught.value.message


def write_json(path, **content):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []} | content))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_touches_a_box_is_read(tmp_path, suffix):
    names = [f"square {index}" for index in range(len(SQUARES))]
    features = open_features(write_features(tmp_path / f"s{suffix}", SQUARES, names), "class")
    box = (4.0, 4.0, 7.0, 7.0)

    found = features.read(box)
    expected = {
        (name, square.wkt)
        for name, square in zip(names, SQUARES, strict=True)
        if square.intersects(shapely.box(*box))
    }
    assert {
        (value, geometry.normalize().wkt)
        for value, geometry in zip(found.values, found.geometries, strict=True)
    } == {(name, shapely.from_wkt(text).normalize().wkt) for name, text in expected}
    assert (np.diff(found.numbers) > 0).all()
    assert features.bounds == (0, 0, 14, 11)
    assert features.crs is None


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_features_come_in_the_order_in_which_they_were_written(tmp_path, suffix):
    order = np.random.default_rng(0).permutation(len(SQUARES))
    squares = [SQUARES[index] for index in order]
    path = write_features(tmp_path / f"s{suffix}", squares, order.tolist())

    assert open_features(path, "class").read((0, 0, 99, 99)).values.tolist() == order.tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_system_is_that_of_the_file(tmp_path, suffix):
    path = write_features(tmp_path / f"s{suffix}", SQUARES[:1], ["a"], "EPSG:32633")

    assert open_features(path, "class").crs == CRS.from_epsg(32633)


def test_geojson_without_a_system_is_in_wgs_84(tmp_path):
    entry = {"type": "Feature", "properties": {"class": 1}, "geometry": None}
    plain = write_json(tmp_path / "a.geojson", features=[entry])
    name = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    named = write_json(tmp_path / "b.geojson", features=[entry], crs=name)

    for path in (plain, named):
        assert open_features(path, "class").crs == CRS.from_epsg(4326)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_heights_are_left_out(tmp_path, suffix):
    solid = shapely.Polygon([(0, 0, 5), (4, 0, 5), (4, 4, 6)])
    features = open_features(write_features(tmp_path / f"s{suffix}", [solid], ["a"]), "class")

    assert not features.read((0, 0, 9, 9)).geometries[0].has_z


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_a_missing_attribute_is_told_with_those_that_there_are(tmp_path, suffix):
    path = write_features(tmp_path / f"s{suffix}", SQUARES[:2], ["a", "b"], field="kind")

    assert refuse(path) == f"features must have the attribute 'class'; those of {path} have kind"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_told(tmp_path, suffix):
    path = tmp_path / f"s{suffix}"
    if suffix == ".geojson":
        write_json(path)
    else:
        write_features(path, SQUARES[:1], ["a"])
        with_none = pyogrio.raw.read(path, where="class = 'b'")
        path.unlink()
        options = {"geometry_type": "Polygon", "crs": None, "driver": "GPKG"}
        if suffix == ".fgb":
            options |= {"driver": "FlatGeobuf"}
        with pytest.warns(UserWarning, match="'crs' was not provided"):
            pyogrio.raw.write(path, with_none[2], with_none[3], ["class"], **options)

    assert refuse(path) == f"polygons must be given; {path} has no features"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_none_is_told(tmp_path, suffix):
    path = tmp_path / f"s{suffix}"
    path.write_bytes(b"nothing of this kind")

    assert refuse(path).startswith("polygons must be")
    path.unlink()
    assert "No such file" in refuse(path)


def test_a_file_of_several_layers_is_told_with_their_names(tmp_path):
    path = write_features(tmp_path / "s.gpkg", SQUARES[:1], ["a"], layer="fields")
    write_features(path, SQUARES[:1], ["a"], layer="roads", append=True)

    assert refuse(path) == f"polygons must be one layer; {path} has 2: fields, roads"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"type": "Topology"}, "is 'Topology'"),
        ({"features": {}}, "is 'FeatureCollection'"),
        ({"features": [{"type": "Polygon"}]}, "features must be of type Feature"),
        (
            {"features": [{"type": "Feature", "properties": {"class": 1}, "geometry": {}}]},
            "geometries must be those of GeoJSON; feature 1",
        ),
        (
            {
                "features": [
                    {
                        "type": "Feature",
                        "properties": {"class": 1},
                        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, "x"]]]},
                    }
                ]
            },
            "geometries must be those of GeoJSON; feature 1",
        ),
        (
            {
                "features": [{"type": "Feature", "properties": {"class": 1}, "geometry": None}],
                "crs": "EPSG:32633",
            },
            "crs must name a system; that of",
        ),
        (
            {
                "features": [{"type": "Feature", "properties": {"class": 1}, "geometry": None}],
                "crs": {"properties": {"name": "of the moon"}},
            },
            "has 'of the moon'",
        ),
    ],
)
def test_what_is_no_geojson_is_told(tmp_path, content, told):
    assert told in refuse(write_json(tmp_path / "s.geojson", **content))


def test_a_damaged_table_is_told_when_it_is_read(tmp_path):
    path = write_features(tmp_path / "s.fgb", SQUARES, list(range(len(SQUARES))))
    data = path.read_bytes()
    features = open_features(path, "class")
    path.write_bytes(data[: len(data) // 2])

    with pytest.raises(SceneError, match=r"polygons must be whole and undamaged; .*s\.fgb"):
        features.read((0, 0, 99, 99))


@pytest.mark.parametrize(
    ("geometry", "fault"),
    [
        (shapely.box(0, 0, 1, 1), ""),
        (shapely.MultiPolygon([shapely.box(0, 0, 1, 1)]), ""),
        (None, ""),
        (shapely.Polygon(), ""),
        (shapely.Point(1, 2), "must be a polygon; it is a Point"),
        (
            shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]),
            "must be a valid polygon; it has Self-intersection[0.5 0.5]",
        ),
    ],
)
def test_what_cannot_be_burnt_is_told(geometry, fault):
    assert find_fault(geometry) == fault


def test_without_its_extra_a_table_is_refused_with_the_command_that_installs_it():
    code = """
import sys
from pathlib import Path
sys.modules["pyogrio"] = None
from lacuna.errors import MissingExtraError
from lacuna.geo.features.files import open_features
try:
    open_features(Path("s.gpkg"), "class")
except MissingExtraError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.startswith(".gpkg needs the extra `vector`: pip install 'lacuna-")
