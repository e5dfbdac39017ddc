from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyarrow import parquet
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from lacuna.errors import NotGeoreferencedError, SceneError
from lacuna.geo.grid import Grid
from lacuna.geo.polygons import check_polygons, write_polygons
from lacuna.geo.polygons.writing import POLYGON_SUFFIXES
from tests.support.label_maps import CLASSES, INVALID, make_labels, polygonize

UTM = CRS.from_epsg(32618)
TRANSFORM = Affine(10, 0, 3e5, 0, -10, 4.5e6)
TABLES = [suffix for suffix in POLYGON_SUFFIXES if suffix != ".geojson"]


def write(path: Path, values: NDArray[Any], **options: Any) -> Path:
    height, width = values.shape
    profile = {"crs": UTM, "transform": TRANSFORM, "dtype": values.dtype, **options}
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=height, width=width, **profile
    ) as file:
        file.write(values, 1)
    return path


def read(path: Path) -> tuple[dict[str, list[Any]], NDArray[Any]]:
    """Return the columns of a file, and its polygons."""
    if path.suffix == ".parquet":
        columns = parquet.read_table(path).to_pydict()
        return columns, shapely.from_wkb(columns.pop("geometry"))
    info, _, geometry, fields = pyogrio.raw.read(path)
    columns = {name: field.tolist() for name, field in zip(info["fields"], fields, strict=True)}
    return columns, shapely.from_wkb(geometry)


def read_crs(path: Path) -> CRS | None:
    if path.suffix == ".parquet":
        metadata = json.loads(parquet.read_schema(path).metadata[b"geo"])
        found = metadata["columns"]["geometry"]["crs"]
        return None if found is None else CRS.from_user_input(json.dumps(found))
    found = pyogrio.read_info(path)["crs"]
    return None if found is None else CRS.from_user_input(found)


@pytest.mark.parametrize("suffix", TABLES)
def test_a_file_holds_a_feature_for_each_region(tmp_path: Path, suffix: str) -> None:
    labels = make_labels(50, 60, seed=1, grain=3)
    confidence = np.random.default_rng(0).random(labels.shape, np.float32)
    confidence[labels == INVALID] = np.nan
    output = tmp_path / f"polygons{suffix}"
    write_polygons(
        write(tmp_path / "labels.tif", labels),
        output,
        confidence=write(tmp_path / "confidence.tif", confidence),
        classes=CLASSES,
    )
    columns, polygons = read(output)
    assert list(columns) == ["class", "name", "pixels", "area_m2", "confidence"]
    assert columns["name"] == [f"class {number}" for number in columns["class"]]
    np.testing.assert_allclose(columns["pixels"], shapely.area(polygons) / 100)
    np.testing.assert_allclose(columns["area_m2"], shapely.area(polygons), rtol=1e-3)
    assert 0 < min(columns["confidence"]) < max(columns["confidence"]) < 1
    missing = polygonize(labels, TRANSFORM)
    for label, polygon in zip(columns["class"], polygons, strict=True):
        same = [other == label and shape.equals(polygon) for other, shape in missing]
        missing.pop(same.index(True))
    assert not missing
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()


@pytest.mark.parametrize("suffix", TABLES)
@pytest.mark.parametrize(
    "crs",
    [UTM, CRS.from_epsg(4326), CRS.from_proj4("+proj=laea +lat_0=50 +lon_0=7"), None],
    ids=["EPSG", "degrees", "WKT", "none"],
)
def test_a_file_has_the_reference_system_of_the_raster(
    tmp_path: Path, suffix: str, crs: CRS | None
) -> None:
    transform = Affine(1e-3, 0, 7, 0, -1e-3, 50)
    output = tmp_path / f"polygons{suffix}"
    source = write(
        tmp_path / "labels.tif", np.zeros((3, 3), np.uint8), crs=crs, transform=transform
    )
    write_polygons(source, output, classes=CLASSES)
    assert read_crs(output) == crs
    columns, polygons = read(output)
    assert polygons[0].bounds == pytest.approx((7, 49.997, 7.003, 50))
    if crs is None:
        (area,) = columns["area_m2"]
        assert area is None or np.isnan(area)


@pytest.mark.parametrize("suffix", POLYGON_SUFFIXES)
def test_a_raster_without_valid_pixels_gives_a_file_without_features(
    tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"polygons{suffix}"
    source = write(tmp_path / "labels.tif", np.full((3, 3), INVALID, np.uint8))
    write_polygons(source, output, classes=CLASSES)
    if suffix == ".geojson":
        assert json.loads(output.read_text())["features"] == []
    else:
        columns, polygons = read(output)
        assert len(polygons) == 0
        assert list(columns) == ["class", "name", "pixels", "area_m2"]


def test_without_a_transform_coordinates_are_columns_and_rows(tmp_path: Path) -> None:
    source = write(tmp_path / "labels.tif", np.zeros((2, 3), np.uint8), crs=None, transform=None)
    write_polygons(source, tmp_path / "polygons.gpkg", classes=CLASSES)
    _, polygons = read(tmp_path / "polygons.gpkg")
    assert polygons[0].equals(shapely.box(0, 0, 3, 2))


def test_geoparquet_tells_what_its_specification_demands(tmp_path: Path) -> None:
    source = write(tmp_path / "labels.tif", np.zeros((2, 3), np.uint8))
    write_polygons(source, tmp_path / "polygons.parquet", classes=CLASSES)
    metadata = json.loads(parquet.read_schema(tmp_path / "polygons.parquet").metadata[b"geo"])
    column = metadata["columns"]["geometry"]
    assert (metadata["version"], metadata["primary_column"]) == ("1.1.0", "geometry")
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
    assert (column["orientation"], column["edges"]) == ("counterclockwise", "planar")
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32618}


def test_a_file_does_not_depend_on_the_blocks_of_the_raster(tmp_path: Path) -> None:
    labels = make_labels(300, 70, seed=2, grain=2)
    layouts: list[dict[str, Any]] = [
        {"blockysize": 1},
        {"blockysize": 7},
        {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
    ]
    contents = set()
    for number, layout in enumerate(layouts):
        source = write(tmp_path / f"{number}.tif", labels, **layout)
        write_polygons(source, tmp_path / f"{number}.geojson", classes=CLASSES)
        contents.add((tmp_path / f"{number}.geojson").read_bytes())
    assert len(contents) == 1


def test_small_regions_are_left_out_on_request(tmp_path: Path) -> None:
    labels = np.array([[0, 0, 1, 2, 2, 2]], np.uint8)
    source = write(tmp_path / "labels.tif", labels)
    write_polygons(source, tmp_path / "polygons.fgb", classes=CLASSES, min_area=150)
    columns, _ = read(tmp_path / "polygons.fgb")
    assert sorted(columns["class"]) == [0, 2]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    source = write(tmp_path / "labels.tif", np.zeros((2, 3), np.uint8))
    output = tmp_path / "polygons.gpkg"
    output.write_text("something else")
    write_polygons(source, output, classes=CLASSES)
    assert len(read(output)[1]) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"labels.tif", "polygons.gpkg"}


@pytest.mark.parametrize("suffix", POLYGON_SUFFIXES)
def test_a_failure_leaves_the_former_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    source = write(tmp_path / "labels.tif", np.full((2, 3), 9, np.uint8))
    output = tmp_path / f"polygons{suffix}"
    output.write_text("before")
    with pytest.raises(SceneError, match=r"ids of the classes \[0, 1, 2, 3\]; the raster has 9"):
        write_polygons(source, output, classes=CLASSES)
    assert output.read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"labels.tif", output.name}


# The third limit is enough for the features, but not for their index.
@pytest.mark.parametrize(
    ("suffix", "limit"),
    [
        (".gpkg", 90_000),
        (".gpkg", 500_000),
        (".gpkg", 1_000_000),
        (".fgb", 90_000),
        (".fgb", 920_000),
        (".parquet", 50_000),
        (".geojson", 90_000),
    ],
)
def test_without_space_there_is_one_line_and_no_file(
    tmp_path: Path, suffix: str, limit: int
) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (100, 100)).astype(np.uint8)
    source, output = write(tmp_path / "labels.tif", labels), tmp_path / f"polygons{suffix}"
    script = f"""
import resource
from pathlib import Path
from lacuna.errors import SceneError
from lacuna.geo.polygons import write_polygons
from tests.support.label_maps import CLASSES
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    write_polygons(Path({str(source)!r}), Path({str(output)!r}), classes=CLASSES)
except SceneError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"polygons must be written to {output}: ")
    assert done.stdout.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"labels.tif"}


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "labels.tif", np.zeros((2, 3), np.uint8))
    output = tmp_path / "nowhere" / "polygons.geojson"
    with pytest.raises(SceneError, match=f"written to {output}: No such file or directory"):
        write_polygons(source, output, classes=CLASSES)


def test_an_unknown_suffix_is_refused() -> None:
    with pytest.raises(SceneError, match=r"as .gpkg, .geojson, .parquet, .fgb; it is 'a.shp'"):
        check_polygons(Path("a.shp"), Grid(2, 3))


def test_geojson_of_a_raster_without_a_place_is_refused_before_there_are_labels() -> None:
    with pytest.raises(NotGeoreferencedError, match="this one has none"):
        check_polygons(Path("a.geojson"), Grid(2, 3))


@pytest.mark.parametrize("suffix", POLYGON_SUFFIXES)
def test_a_raster_with_ground_control_points_alone_is_refused(tmp_path: Path, suffix: str) -> None:
    points = [GroundControlPoint(row, 0, 10, 50 - row) for row in range(3)]
    options = {"gcps": points, "crs": CRS.from_epsg(4326), "transform": None}
    source = write(tmp_path / "labels.tif", np.zeros((3, 3), np.uint8), **options)
    with pytest.raises(NotGeoreferencedError, match="has only ground control points"):
        write_polygons(source, tmp_path / f"polygons{suffix}", classes=CLASSES)


@pytest.mark.parametrize("missing", ["pyogrio", "pyarrow"])
@pytest.mark.parametrize("suffix", TABLES)
def test_without_the_extra_its_installation_is_told(missing: str, suffix: str) -> None:
    script = f"""
import sys
sys.modules[{missing!r}] = None  # as if it were not installed
from pathlib import Path
from lacuna.errors import MissingExtraError
from lacuna.geo.grid import Grid
from lacuna.geo.polygons import check_polygons
try:
    check_polygons(Path("a{suffix}"), Grid(2, 3))
except MissingExtraError as error:
    print(error)
"""
    told = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert told.startswith(f"polygons as {suffix} need the extra `vector`: pip install ")


def test_confidence_of_another_size_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "labels.tif", np.zeros((2, 3), np.uint8))
    confidence = write(tmp_path / "confidence.tif", np.zeros((2, 4), np.float32))
    with pytest.raises(SceneError, match="size of the labels, 2×3; it is 2×4"):
        write_polygons(source, tmp_path / "a.fgb", confidence=confidence, classes=CLASSES)


@pytest.mark.parametrize("suffix", POLYGON_SUFFIXES)
def test_a_damaged_raster_is_named(tmp_path: Path, suffix: str) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (400, 400)).astype(np.uint8)
    source = write(tmp_path / "labels.tif", labels, compress="deflate")
    source.write_bytes(source.read_bytes()[:20_000])
    with pytest.raises(SceneError, match=f"whole and undamaged; {source}: "):
        write_polygons(source, tmp_path / f"polygons{suffix}", classes=CLASSES)
    assert {path.name for path in tmp_path.iterdir()} == {"labels.tif"}
