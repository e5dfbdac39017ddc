import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

from lacuna.errors import NotGeoreferencedError
from lacuna.geo.areas import PixelAreas, measure_labels
from lacuna.geo.grid import Grid
from tests.support.geotiffs import NORTH_UP, UTM

WHOLE_EARTH_M2 = 510_065_621_724_088.44  # of WGS 84, by GeographicLib
AXIS_M, ECCENTRICITY = 6_378_137.0, math.sqrt(0.0066943799901413165)


def make(crs, place, height, width):
    return Grid(height, width, CRS.from_user_input(crs), place)


def cell_m2(south, north, degrees):
    """Area between two parallels and two meridians (Snyder 1987, equation 3-12)."""

    def q(latitude):
        es = ECCENTRICITY * math.sin(math.radians(latitude))
        return es / (1 - es * es) + math.atanh(es)

    part = AXIS_M**2 * (1 - ECCENTRICITY**2) / (2 * ECCENTRICITY)
    return math.radians(degrees) * part * (q(north) - q(south))


def shoelace_m2(grid, row, column, side=1):
    """Area of a square of pixels in a cylindrical equal-area projection of the world."""
    corners = [(0, 0), (0, side), (side, side), (side, 0)]
    places = [grid.transform @ (column + right, row + down) for down, right in corners]
    x, y = transform(grid.crs, "EPSG:6933", *np.transpose(places))
    x, y = np.subtract(x, x[0]), np.subtract(y, y[0])
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


@pytest.mark.parametrize(
    ("place", "height", "width"),
    [
        (Affine(0.25, 0, -180, 0, -0.25, 90), 720, 1440),
        (Affine(0.01, 0, 170, 0, -0.02, -10), 300, 2500),
        (Affine(1e-4, 0, 10, 0, 1e-4, 60), 37, 53),
    ],
    ids=["world", "antimeridian", "south up"],
)
def test_pixels_of_degrees_have_the_area_between_parallels_and_meridians(place, height, width):
    found = PixelAreas(make("EPSG:4326", place, height, width)).compute(0, height)

    edges = [place.f + place.e * row for row in range(height + 1)]
    expected = [cell_m2(min(pair), max(pair), place.a) for pair in itertools.pairwise(edges)]
    np.testing.assert_allclose(found, np.array(expected)[:, None] * np.ones(width), rtol=1e-9)


def test_all_pixels_of_the_world_have_its_area():
    grid = make("EPSG:4326", Affine(0.5, 0, -180, 0, -0.5, 90), 360, 720)

    total = PixelAreas(grid).compute(0, 360).sum()

    assert total == pytest.approx(WHOLE_EARTH_M2, rel=1e-9)


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        (UTM, NORTH_UP),
        (UTM, NORTH_UP @ Affine.rotation(30)),
        (UTM, Affine(10, 0, 5e5, 0, 10, 4e6)),
        ("EPSG:3857", Affine(100, 0, 1e6, 0, -100, 8e6)),
        ("EPSG:2154", Affine(5, 0, 6e5, 0, -5, 6.8e6)),
        ("EPSG:3413", Affine(500, 0, -1e6, 0, -500, -5e5)),
        ("EPSG:26718", NORTH_UP),
        ("EPSG:2263", Affine(30, 0, 9.5e5, 0, -30, 2.5e5)),
    ],
)
def test_projected_pixels_have_the_area_of_an_equal_area_projection(crs, place):
    grid = make(crs, place, 600, 900)
    areas = PixelAreas(grid)

    whole = areas.compute(0, 600)
    for row, column in ((0, 0), (17, 850), (599, 899), (300, 450)):
        assert whole[row, column] == pytest.approx(shoelace_m2(grid, row, column), rel=1e-6)
    # Of a larger square the projection's rounding counts less, and its curved sides more.
    square = whole[300:310, 450:460].sum()
    assert square == pytest.approx(shoelace_m2(grid, 300, 450, side=10), rel=1e-5)


def test_pixels_of_an_equal_area_projection_have_its_own_area():
    grid = make("EPSG:3035", Affine(30, 0, 4.2e6, 0, -30, 3.1e6), 500, 400)

    np.testing.assert_allclose(PixelAreas(grid).compute(0, 500), 900, rtol=1e-9)


def test_a_map_of_the_world_is_measured_in_parts():
    side = 20_037_508.342789244
    place = Affine(side / 512, 0, -side, 0, -side / 512, side)
    found = PixelAreas(make("EPSG:3857", place, 1024, 1024)).compute(0, 1024)

    # Web Mercator takes the ellipsoid for a sphere: its edge is at this latitude of both.
    edge = math.degrees(2 * math.atan(math.exp(math.pi)) - math.pi / 2)
    assert found.sum() == pytest.approx(cell_m2(-edge, edge, 360), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 39), st.integers(1, 40))
def test_rows_are_the_same_however_they_are_asked_for(height, width, top, rows):
    areas = PixelAreas(make(UTM, NORTH_UP, height, width))
    top = min(top, height - 1)
    rows = min(rows, height - top)

    part = areas.compute(top, rows)

    np.testing.assert_allclose(part, areas.compute(0, height)[top : top + rows], rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(1, 2000), st.integers(0, 99))
def test_a_label_has_the_area_of_its_pixels(height, width, seed):
    labels = np.random.default_rng(seed).choice(np.array([0, 1, 7, 255], np.uint8), (height, width))
    areas = PixelAreas(make("EPSG:4326", Affine(0.01, 0, 5, 0, -0.01, 60), height, width))
    pixels = areas.compute(0, height)

    found = measure_labels(labels, areas)

    for label in range(256):
        assert found[label] == pytest.approx(pixels[labels == label].sum(), rel=1e-11)


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        (None, NORTH_UP),
        (UTM, None),
        (UTM, Affine(1e300, 0, 0, 0, -1e300, 0)),
        ("EPSG:4326", Affine(1, 0, 0, 0, -1, 400)),
        ("ESRI:54009", Affine(36_000, 0, -1.8e7, 0, -18_000, 9e6)),
        ('LOCAL_CS["site",UNIT["metre",1]]', NORTH_UP),
    ],
    ids=["no CRS", "no transform", "huge", "beyond the pole", "beyond the map", "local"],
)
def test_pixels_that_do_not_lie_on_earth_have_no_area(crs, place):
    grid = Grid(1000, 1000, None if crs is None else CRS.from_user_input(crs), place)

    with pytest.raises(NotGeoreferencedError, match="to have an area"):
        PixelAreas(grid)
