import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from lacuna.geo.answers import measure
from lacuna.geo.areas import PixelAreas
from lacuna.geo.grid import Grid
from lacuna.georeference import Georeference
from lacuna.segmentation import ClassInfo, NamedSegmentation
from tests.support.geotiffs import NORTH_UP, UTM

CLASSES = tuple(ClassInfo(number, f"class {number}", "#808080") for number in range(3))
DEGREES = (0.01, 0.0, 5.0, 0.0, -0.02, 60.0)
AXIS_M, ECCENTRICITY = 6_378_137.0, math.sqrt(0.0066943799901413165)


def cell_m2(south, north, degrees):
    """Area between two parallels and two meridians of WGS 84 (Snyder 1987, equation 3-12)."""

    def q(latitude):
        es = ECCENTRICITY * math.sin(math.radians(latitude))
        return es / (1 - es * es) + math.atanh(es)

    part = AXIS_M**2 * (1 - ECCENTRICITY**2) / (2 * ECCENTRICITY)
    return math.radians(degrees) * part * (q(north) - q(south))


def draw_labels(height, width, seed=0):
    labels = np.array([0, 1, 255], np.uint8)
    return np.random.default_rng(seed).choice(labels, (height, width))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(1, 2000), st.integers(0, 99))
def test_a_class_has_the_area_of_its_pixels(height, width, seed):
    labels = draw_labels(height, width, seed)
    rows = [cell_m2(60 - 0.02 * (row + 1), 60 - 0.02 * row, 0.01) for row in range(height)]

    found = measure(
        NamedSegmentation(labels, CLASSES, georeference=Georeference("EPSG:4326", DEGREES))
    )

    for entry in CLASSES:
        expected = ((labels == entry.id).sum(axis=1) * rows).sum()
        assert found.areas_m2[entry.name] == pytest.approx(expected, rel=1e-9)
        assert found.areas[entry.name].area_m2 == found.areas_m2[entry.name]
    assert found.georeference.pixel_area_m2 == pytest.approx(np.mean(rows), rel=1e-9)


def test_it_agrees_with_the_areas_of_single_pixels_in_utm():
    labels = draw_labels(300, 400)
    place = Georeference(UTM, NORTH_UP[:6])
    pixels = PixelAreas(Grid(300, 400, CRS.from_user_input(UTM), NORTH_UP)).compute(0, 300)

    found = measure(NamedSegmentation(labels, CLASSES, georeference=place))

    for entry in CLASSES:
        expected = pixels[labels == entry.id].sum()
        assert found.areas_m2[entry.name] == pytest.approx(expected, rel=1e-12)
    assert 100 < found.georeference.pixel_area_m2 < 100.1


@pytest.mark.parametrize(
    "place",
    [
        Georeference(None, NORTH_UP[:6]),
        Georeference(UTM),
        Georeference(UTM, (1e300, 0, 0, 0, -1e300, 0)),
        Georeference('LOCAL_CS["site",UNIT["metre",1]]', NORTH_UP[:6]),
    ],
    ids=["no CRS", "no transform", "beyond Earth", "local"],
)
def test_what_has_no_area_is_told_without_it(place):
    segmentation = NamedSegmentation(draw_labels(30, 40), CLASSES, georeference=place)

    found = measure(segmentation)

    assert found.areas_m2 is None
    assert found.to_dict()["georeference"]["pixel_area_m2"] is None
    assert "area_m2" not in found.to_dict()["classes"][0]
