"""The grid of a raster, with rasterio as the witness."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint

from lacuna.geo.grid import Grid
from lacuna.windows.window import Window
from tests.support.rasters import find_real_rasters, quiet, write_raster

POINTS = [
    GroundControlPoint(0, 0, 10.0, 50.0, 0.0, "a"),
    GroundControlPoint(0, 9, 10.5, 50.1, 0.0, "b"),
    GroundControlPoint(7, 3, 10.2, 49.7, 0.0, "c"),
    GroundControlPoint(7, 9, 10.6, 49.6, 3.0, "d"),
]
CORNERS = [(0, 0), (0, 5), (4, 0)]
GRIDS = {
    "north up": {"crs": "EPSG:32618", "transform": Affine(5.0, 0.0, 792988.0, 0.0, -5.0, 2e6)},
    "south up": {"crs": "EPSG:32618", "transform": Affine(5.0, 0.0, 792988.0, 0.0, 5.0, 2e6)},
    "rotated": {
        "crs": "EPSG:3857",
        "transform": Affine(2.165, 1.0, 1e6, 1.25, -1.732, 6e6),
    },
    "geographic": {"crs": "EPSG:4326", "transform": Affine(1e-4, 0.0, 11.5, 0.0, -1e-4, 48.1)},
    "of a local system": {
        "crs": 'LOCAL_CS["site",UNIT["metre",1]]',
        "transform": Affine(0.1, 0.0, 3.0, 0.0, -0.1, 4.0),
    },
    "without a system": {"transform": Affine(5.0, 0.0, 10.0, 0.0, -5.0, 20.0)},
    "of control points": {"crs": "EPSG:4326", "gcps": POINTS},
    "nowhere": {},
}


def read_grid(path):
    with quiet(), rasterio.open(path) as dataset:
        return Grid.of(dataset)


@pytest.mark.parametrize("case", GRIDS)
def test_a_raster_on_the_grid_of_another_lies_where_that_does(case, tmp_path):
    original = write_raster(tmp_path / "a.tif", np.ones((1, 8, 10), np.uint8), **GRIDS[case])

    profile = read_grid(original).to_profile()
    copy = write_raster(tmp_path / "b.tif", np.ones((1, 8, 10), np.uint8), **profile)

    with quiet(), rasterio.open(original) as wanted, rasterio.open(copy) as found:
        assert found.crs == wanted.crs
        assert found.transform == wanted.transform
        assert found.shape == wanted.shape
        points, crs = found.gcps
        assert [point.asdict() for point in points] == [p.asdict() for p in wanted.gcps[0]]
        assert crs == wanted.gcps[1]


@pytest.mark.parametrize("path", find_real_rasters())
def test_the_grid_of_a_real_raster_is_that_of_rasterio(path):
    grid = read_grid(path)

    with quiet(), rasterio.open(path) as dataset:
        assert (grid.height, grid.width) == dataset.shape
        assert grid.crs == dataset.crs
        assert grid.transform == dataset.transform


def test_a_raster_without_a_place_has_neither_system_nor_transform(tmp_path):
    grid = read_grid(write_raster(tmp_path / "a.tif", np.ones((1, 8, 10), np.uint8)))

    assert grid == Grid(8, 10)
    assert grid.size == (8, 10)


@pytest.mark.parametrize("case", ["north up", "south up", "rotated"])
def test_a_window_lies_where_its_pixels_lie_in_the_whole(case, tmp_path):
    path = write_raster(tmp_path / "a.tif", np.ones((1, 8, 10), np.uint8), **GRIDS[case])

    grid = read_grid(path).crop(Window(2, 3, 4, 5))

    with rasterio.open(path) as dataset:
        corners = [dataset.xy(2 + row, 3 + column, offset="ul") for row, column in CORNERS]
    assert grid.size == (4, 5)
    assert grid.crs == rasterio.crs.CRS.from_user_input(GRIDS[case]["crs"])
    a, b, c, d, e, f = grid.transform[:6]
    found = [(a * column + b * row + c, d * column + e * row + f) for row, column in CORNERS]
    np.testing.assert_allclose(found, corners, rtol=1e-12)


def test_the_control_points_of_a_window_are_counted_from_its_corner(tmp_path):
    path = write_raster(
        tmp_path / "a.tif", np.ones((1, 8, 10), np.uint8), **GRIDS["of control points"]
    )

    grid = read_grid(path).crop(Window(2, 3, 4, 5))

    assert [(point.row, point.col) for point in grid.gcps] == [(-2, -3), (-2, 6), (5, 0), (5, 6)]
    assert [(point.x, point.y, point.z) for point in grid.gcps] == [
        (point.x, point.y, point.z) for point in POINTS
    ]
    assert grid.gcps_crs.to_epsg() == 4326
    assert grid.transform is None
