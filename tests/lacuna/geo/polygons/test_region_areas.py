from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Geod, Transformer
from rasterio.crs import CRS

from lacuna.geo.grid import Grid
from lacuna.geo.polygons.pixel_areas import WholeAreas
from lacuna.geo.polygons.regions import Regions
from lacuna.geo.polygons.stream import RegionStream
from tests.support.label_maps import INVALID, make_labels

PLACES = {
    "north up": ("EPSG:32618", Affine(10, 0, 3e5, 0, -10, 4.5e6)),
    "rotated": ("EPSG:32618", Affine(31, 12, 3e5, 12, -31, 4.5e6)),
    "south up": ("EPSG:32718", Affine(10, 0, 3e5, 0, 10, 4.5e6)),
    "feet": ("EPSG:2263", Affine(100, 0, 9.8e5, 0, -100, 2e5)),
    "Mercator": ("EPSG:3857", Affine(300, 0, 1e6, 0, -300, 9e6)),
    "polar": ("EPSG:3031", Affine(250, 0, 1e6, 0, -250, 1.2e6)),
    "degrees": ("EPSG:4326", Affine(1e-3, 0, 14, 0, -1e-3, 49)),
    "antimeridian": ("EPSG:4326", Affine(1e-3, 0, 179.97, 0, -1e-3, -17)),
}


def find_regions(labels: NDArray[np.uint8], grid: Grid) -> Regions:
    stream = RegionStream(grid)
    batches = [*stream.feed(labels)]
    (last,) = stream.finish()
    assert len(batches) == 1
    return _join(batches[0], last)


def _join(one: Regions, other: Regions) -> Any:
    polygons = [part.make_polygons(part.rings.points.astype(float)) for part in (one, other)]
    areas = [part.areas_m2 for part in (one, other)]
    return np.concatenate(polygons), np.concatenate(areas)  # type: ignore[arg-type]


def measure(polygon: shapely.Polygon, crs: str, transform: Affine, middle: Any) -> float:
    """Return the area in a projection about the middle, with a point at each corner of a pixel."""
    longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*middle)
    local = f"+proj=laea +lat_0={latitude} +lon_0={longitude} +datum=WGS84"
    project = Transformer.from_crs(crs, local, always_xy=True).transform

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(project(*(transform @ points.T)), axis=1)

    dense = shapely.transform(shapely.segmentize(polygon, 1), place)
    corner = shapely.get_coordinates(dense)[0]
    return float(shapely.area(shapely.transform(dense, lambda points: points - corner)))


@pytest.mark.parametrize("name", PLACES)
def test_an_area_is_that_of_the_polygon_in_an_equal_area_projection(name: str) -> None:
    crs, transform = PLACES[name]
    labels = make_labels(60, 70, seed=3, grain=3)
    polygons, areas = find_regions(labels, Grid(60, 70, CRS.from_user_input(crs), transform))
    middle = transform @ (35, 30)
    expected = [measure(polygon, crs, transform, middle) for polygon in polygons]
    np.testing.assert_allclose(areas, expected, rtol=3e-9)
    assert areas.sum() == pytest.approx(np.sum(expected), rel=1e-9)


@pytest.mark.parametrize("name", PLACES)
def test_areas_of_regions_sum_to_that_of_the_valid_pixels(name: str) -> None:
    crs, transform = PLACES[name]
    labels = make_labels(60, 70, seed=4)
    grid = Grid(60, 70, CRS.from_user_input(crs), transform)
    _, areas = find_regions(labels, grid)
    pixels = WholeAreas(grid)
    expected = (pixels.of_rows(0, 60) * pixels.unit_m2)[labels != INVALID].sum()
    assert areas.sum() == pytest.approx(expected, rel=1e-12)


def test_areas_are_geodesic() -> None:
    crs, transform = "EPSG:32633", Affine(1000, 0, 3e5, 0, -1000, 6e6)
    labels = make_labels(30, 30, seed=5, grain=5)
    polygons, areas = find_regions(labels, Grid(30, 30, CRS.from_user_input(crs), transform))
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform
    for polygon, area in zip(polygons, areas, strict=True):
        dense = shapely.segmentize(polygon, 0.02)
        placed = shapely.transform(
            dense, lambda points: np.stack(to_degrees(*(transform @ points.T)), axis=1)
        )
        expected, _ = Geod(ellps="WGS84").geometry_area_perimeter(placed)
        assert area == pytest.approx(abs(expected), rel=1e-6)


def test_areas_of_rows_do_not_depend_on_how_many_are_read() -> None:
    grid = Grid(900, 1100, CRS.from_epsg(3857), Affine(500, 0, 1e6, 0, -500, 9e6))
    whole = WholeAreas(grid).of_rows(0, 900)
    areas = WholeAreas(grid)
    for first, count in ((0, 1), (470, 30), (476, 1), (1, 899)):
        np.testing.assert_array_equal(areas.of_rows(first, count), whole[first : first + count])
