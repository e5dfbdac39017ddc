"""Windows of burnt polygons; rasterio's burning of the whole raster is the witness."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.features import rasterize, shapes
from rasterio.warp import transform as warp
from rasterio.warp import transform_geom

from lacuna.errors import SceneError
from lacuna.geo.features.burning import FeatureGrid
from lacuna.geo.features.files import open_features
from lacuna.geo.grid import Grid
from lacuna.windows.window import Window
from tests.support.vectors import write_features

UTM = CRS.from_epsg(32633)
WGS84 = CRS.from_epsg(4326)
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_400_000)
ROTATED = NORTH_UP * Affine.rotation(27) * Affine.scale(1, 0.7)
SOUTH_UP = Affine(10, 0, 500_000, 0, 10, 5_390_000)
SIZE = (90, 120)
BACKGROUND = 255


def draw_polygons(rng, transform, count=12):
    """Star-shaped polygons on a grid, at real-valued places."""
    polygons = []
    for _ in range(count):
        row, column, radius = rng.uniform(-10, 100), rng.uniform(-10, 130), rng.uniform(3, 40)
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        reach = radius * rng.uniform(0.4, 1, 9)
        points = [
            transform * point
            for point in zip(
                column + reach * np.cos(angles), row + reach * np.sin(angles), strict=True
            )
        ]
        polygon = shapely.Polygon(points)
        if polygon.is_valid:
            polygons.append(polygon)
    return polygons


def burn_windows(grid, path, side, rng):
    """All windows of some size, in any order, put together."""
    features = FeatureGrid(open_features(path, "class"), grid)
    burnt = np.zeros(grid.size, np.uint8)
    windows = [
        Window(top, left, min(side, grid.height - top), min(side, grid.width - left))
        for top in range(0, grid.height, side)
        for left in range(0, grid.width, side)
    ]
    for index in rng.permutation(len(windows)):
        window = windows[index]
        found = features.find(window)
        burnt[window.slices] = features.burn(
            found, found.values.astype(np.uint8), window, BACKGROUND
        )
    return burnt


def burn_whole(grid, polygons):
    pairs = [(polygon, value) for value, polygon in enumerate(polygons)]
    return rasterize(pairs, grid.size, fill=BACKGROUND, transform=grid.transform, dtype=np.uint8)


@pytest.mark.parametrize(
    "transform", [NORTH_UP, ROTATED, SOUTH_UP], ids=["north", "turned", "south"]
)
@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
@given(seed=st.integers(0, 10**6), side=st.integers(7, 130))
@settings(max_examples=8, deadline=None)
def test_windows_are_burnt_as_rasterio_burns_the_whole(
    tmp_path_factory, transform, suffix, seed, side
):
    rng = np.random.default_rng(seed)
    polygons = draw_polygons(rng, transform)
    path = tmp_path_factory.mktemp("burnt") / f"polygons{suffix}"
    write_features(path, polygons, list(range(len(polygons))), "EPSG:32633")
    grid = Grid(*SIZE, UTM, transform)

    np.testing.assert_array_equal(burn_windows(grid, path, side, rng), burn_whole(grid, polygons))


def test_polygons_of_another_system_are_brought_to_that_of_the_image(tmp_path):
    rng = np.random.default_rng(4)
    polygons = draw_polygons(rng, NORTH_UP, 30)
    geographic = [
        shapely.geometry.shape(transform_geom(UTM, WGS84, shapely.geometry.mapping(polygon)))
        for polygon in polygons
    ]
    path = write_features(tmp_path / "p.geojson", geographic, list(range(len(polygons))), "CRS84")
    grid = Grid(*SIZE, UTM, NORTH_UP)

    np.testing.assert_array_equal(burn_windows(grid, path, 32, rng), burn_whole(grid, polygons))


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_a_long_edge_is_straight_in_its_own_system_whatever_window_is_asked_for(tmp_path, suffix):
    # A parallel of 1.5 degrees, 110 km of them in the image: in UTM it bends by 40 pixels.
    height, width = 300, 1100
    corner = np.array(warp(WGS84, UTM, [16.5], [48.4]))[:, 0]
    transform = Affine(100, 0, corner[0], 0, -100, corner[1] + 15_000)
    grid = Grid(height, width, UTM, transform)
    south = shapely.box(10, 40, 25, 48.4)
    path = write_features(tmp_path / f"south{suffix}", [south], [0], "EPSG:4326")
    burnt = burn_windows(grid, path, 64, np.random.default_rng(0))

    rows, columns = np.mgrid[:height, :width] + 0.5
    x, y = transform * (columns.ravel(), rows.ravel())
    latitudes = np.array(warp(UTM, WGS84, x, y)[1]).reshape(height, width)
    away = np.abs(latitudes - 48.4) > 0.00001  # about a hundredth of a pixel
    np.testing.assert_array_equal(burnt[away] == 0, latitudes[away] < 48.4)
    assert away.mean() > 0.999


def test_polygons_of_labels_burn_to_these_labels(tmp_path):
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 4, (18, 24)), np.ones((5, 5))).astype(np.uint8)
    found = list(shapes(labels, transform=ROTATED))
    path = write_features(
        tmp_path / "labels.gpkg",
        [shapely.geometry.shape(shape) for shape, _ in found],
        [int(value) for _, value in found],
        "EPSG:32633",
    )

    burnt = burn_windows(Grid(*SIZE, UTM, ROTATED), path, 41, rng)
    np.testing.assert_array_equal(burnt, labels)


def test_the_later_of_two_features_is_on_top(tmp_path):
    square = shapely.box(500_000, 5_399_500, 500_500, 5_400_000)
    grid = Grid(*SIZE, UTM, NORTH_UP)
    rng = np.random.default_rng(0)
    for suffix in (".geojson", ".gpkg"):
        path = tmp_path / f"overlaps{suffix}"
        write_features(path, [square, square.buffer(-100), square], [7, 8, 9], "EPSG:32633")
        assert set(np.unique(burn_windows(grid, path, 25, rng))) == {9, BACKGROUND}


def test_a_window_without_features_is_background(tmp_path):
    path = write_features(tmp_path / "p.geojson", [shapely.box(0, 0, 1, 1)], [3])
    features = FeatureGrid(open_features(path, "class"), Grid(9, 9, None, Affine.scale(1, 1.5)))
    window = Window(5, 5, 3, 4)

    burnt = features.burn(features.find(window), np.zeros(0, np.uint8), window, 6)
    np.testing.assert_array_equal(burnt, np.full((3, 4), 6))


def refuse(features_crs, grid, path):
    write_features(path, [shapely.box(500_000, 5_399_000, 501_000, 5_400_000)], [0], features_crs)
    with pytest.raises(SceneError) as caught:
        FeatureGrid(open_features(path, "class"), grid).check_overlap()
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_system_on_one_side_alone_is_told(tmp_path):
    path = tmp_path / "p.geojson"
    rule = "polygons and image must both have a coordinate reference system, or neither; only "

    assert refuse(None, Grid(9, 9, UTM, NORTH_UP), path) == f"{rule}the image has one"
    message = refuse("EPSG:32633", Grid(9, 9, None, NORTH_UP), path)
    assert message == f"{rule}{path} has one"


def test_an_image_without_a_transform_is_told(tmp_path):
    message = refuse("EPSG:32633", Grid(9, 9, UTM), tmp_path / "p.geojson")

    assert message == "polygons need an image with a transform; it has none"


def test_polygons_elsewhere_are_told_with_both_places(tmp_path):
    elsewhere = Grid(9, 9, UTM, Affine(10, 0, 700_000, 0, -10, 5_400_000))
    message = refuse("EPSG:32633", elsewhere, tmp_path / "p.geojson")

    assert message.startswith("polygons must overlap their image; in EPSG:32633 they cover ")
    assert "x 500000 to 501000, y 5399000 to 5400000, and the image x 699990 to 700100" in message
