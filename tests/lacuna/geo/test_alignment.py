import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from lacuna.geo.alignment import describe_misalignment
from lacuna.geo.grid import Grid

UTM, OTHER = CRS.from_epsg(32633), CRS.from_epsg(32634)
PLACE = Affine(10, 0, 500_000, 0, -10, 5_400_000)
POINTS = (GroundControlPoint(0, 0, 1.0, 2.0), GroundControlPoint(9, 9, 3.0, 4.0))
IMAGE = Grid(90, 120, UTM, PLACE)


@pytest.mark.parametrize(
    "grid",
    [
        IMAGE,
        Grid(7, 9),  # no place on Earth
        Grid(7, 9, UTM),
        Grid(90, 120, UTM, Affine(10.00001, 0, 500_000, 0, -10, 5_400_000)),  # rounded
        Grid(90, 120, UTM, PLACE * Affine.translation(0.09, 0)),
    ],
)
def test_rasters_that_fit_have_no_difference(grid):
    assert describe_misalignment(grid, IMAGE) == ""
    assert describe_misalignment(IMAGE, grid) == ""


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        (Grid(90, 121, UTM, PLACE), "its size is 90×121, the image's 90×120"),
        (
            Grid(90, 120, OTHER, PLACE),
            "its coordinate reference system is EPSG:32634, the image's EPSG:32633",
        ),
        (
            Grid(90, 120, None, PLACE),
            "its coordinate reference system is none, the image's EPSG:32633",
        ),
        (
            Grid(90, 120, UTM, PLACE * Affine.translation(0, 0.5)),
            (
                "its transform is (10, 0, 500000, 0, -10, 5399995), the image's "
                "(10, 0, 500000, 0, -10, 5400000)"
            ),
        ),
        (
            Grid(90, 120, None, None, POINTS, UTM),
            (
                "its transform is 2 ground control points, the image's "
                "(10, 0, 500000, 0, -10, 5400000)"
            ),
        ),
        (
            Grid(45, 60, UTM, PLACE * Affine.scale(2)),
            (
                "its size is 45×60, the image's 90×120; its transform is "
                "(20, 0, 500000, 0, -20, 5400000), the image's (10, 0, 500000, 0, -10, 5400000)"
            ),
        ),
    ],
)
def test_what_differs_is_told_with_both_values(grid, told):
    assert describe_misalignment(grid, IMAGE) == told


def test_ground_control_points_are_compared():
    grid = Grid(90, 120, None, None, POINTS, UTM)

    assert describe_misalignment(grid, Grid(90, 120, None, None, tuple(POINTS), UTM)) == ""
    assert describe_misalignment(grid, Grid(90, 120, None, None, POINTS[:1], UTM)).startswith(
        "its transform is 2 ground control points, the image's 1"
    )
