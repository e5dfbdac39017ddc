from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from lacuna.errors import SceneError
from lacuna.geo.grid import Grid
from lacuna.geo.polygons.regions import Regions
from lacuna.geo.polygons.stream import RegionStream
from tests.support.label_maps import INVALID, LabelMap, label_maps, make_labels, polygonize

UTM = CRS.from_epsg(32618)
HEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def cut(height: int, heights: Sequence[int]) -> Iterator[slice]:
    top = 0
    for step in cycle(heights):
        if top >= height:
            return
        yield slice(top, top + step)
        top += step


def find(
    labels: NDArray[np.uint8],
    heights: Sequence[int] = (1000,),
    confidence: NDArray[np.float32] | None = None,
    grid: Grid | None = None,
    **options: Any,
) -> list[Regions]:
    stream = RegionStream(grid or Grid(*labels.shape), **options)
    found: list[Regions] = []
    for part in cut(len(labels), heights):
        found += stream.feed(labels[part], None if confidence is None else confidence[part])
    return [*found, *stream.finish()]


def polygons_of(batches: list[Regions]) -> NDArray[Any]:
    polygons = [batch.make_polygons(batch.rings.points.astype(float)) for batch in batches]
    return np.concatenate(polygons) if polygons else np.array([], object)


def join(batches: list[Regions], name: str) -> list[Any]:
    return [value for batch in batches for value in getattr(batch, name).tolist()]


@given(label_maps(), HEIGHTS)
def test_regions_are_those_of_gdal(label_map: LabelMap, heights: list[int]) -> None:
    batches = find(label_map.labels, heights)
    found = zip(join(batches, "class_ids"), polygons_of(batches), strict=True)
    missing = polygonize(label_map.labels)
    for label, polygon in found:
        same = [shape.equals(polygon) and other == label for other, shape in missing]
        missing.pop(same.index(True))
    assert not missing


@given(label_maps(), HEIGHTS)
def test_polygons_are_valid_and_rasterize_to_the_labels(
    label_map: LabelMap, heights: list[int]
) -> None:
    labels = label_map.labels
    batches = find(labels, heights)
    polygons = polygons_of(batches)
    assert shapely.is_valid(polygons).all()
    burnt = np.full(labels.shape, INVALID, np.uint8)
    for label, polygon in zip(join(batches, "class_ids"), polygons, strict=True):
        rasterio.features.rasterize([(polygon, label)], out=burnt)
    np.testing.assert_array_equal(burnt, labels)
    assert shapely.area(polygons).sum() == np.count_nonzero(labels != INVALID)


@given(label_maps(), HEIGHTS)
def test_neighbours_have_the_same_points_on_their_boundary(
    label_map: LabelMap, heights: list[int]
) -> None:
    polygons = polygons_of(find(label_map.labels, heights))
    assert shapely.coverage_is_valid(polygons)


@given(label_maps(), HEIGHTS, st.booleans())
def test_regions_do_not_depend_on_the_heights_of_strips(
    label_map: LabelMap, heights: list[int], mirror: bool
) -> None:
    labels = label_map.labels
    grid = Grid(*labels.shape, UTM, Affine(31, 2, 3e5, 1, -29, 4.5e6))
    confidence = np.random.default_rng(0).random(labels.shape, np.float32)
    whole = find(labels, grid=grid, confidence=confidence, mirror=mirror)
    strips = find(labels, heights, grid=grid, confidence=confidence, mirror=mirror)
    assert list(polygons_of(strips)) == list(polygons_of(whole))
    for name in ("class_ids", "pixels", "areas_m2", "confidences"):
        assert join(strips, name) == join(whole, name)


@given(label_maps(), HEIGHTS)
def test_a_region_counts_its_pixels_and_averages_their_confidence(
    label_map: LabelMap, heights: list[int]
) -> None:
    labels = label_map.labels
    confidence = np.random.default_rng(1).random(labels.shape, np.float32)
    confidence[labels == INVALID] = np.nan
    batches = find(labels, heights, confidence=confidence)
    polygons = polygons_of(batches)
    assert join(batches, "pixels") == shapely.area(polygons).tolist()
    for polygon, mean in zip(polygons, join(batches, "confidences"), strict=True):
        inside = rasterio.features.rasterize([polygon], out_shape=labels.shape).astype(bool)
        assert mean == pytest.approx(confidence[inside].mean(dtype=np.float64), abs=1e-6)


@given(label_maps(), st.integers(2, 9))
def test_regions_below_the_least_area_are_left_out(label_map: LabelMap, least: int) -> None:
    everything, large = find(label_map.labels, [3]), find(label_map.labels, [3], min_area=least)
    kept = [size >= least for size in join(everything, "pixels")]
    assert list(polygons_of(large)) == list(polygons_of(everything)[kept])


def test_the_least_area_is_in_square_metres_where_the_grid_has_a_place() -> None:
    labels = np.array([[0, 0, 1, INVALID, 1, 1, 1]], np.uint8)
    grid = Grid(1, 7, UTM, Affine(10, 0, 5e5, 0, -10, 4.5e6))
    assert join(find(labels, grid=grid, min_area=150), "pixels") == [2, 3]


def test_without_a_coordinate_reference_system_areas_are_unknown() -> None:
    (batch,) = find(np.zeros((2, 3), np.uint8))
    assert batch.areas_m2 is None
    assert batch.confidences is None


@pytest.mark.parametrize(("mirror", "sign"), [(False, 1), (True, -1)])
def test_outlines_turn_one_way_and_holes_the_other(mirror: bool, sign: int) -> None:
    labels = np.zeros((5, 5), np.uint8)
    labels[1:4, 1:4] = 1
    labels[2, 2] = 0
    for polygon in polygons_of(find(labels, [1], mirror=mirror)):
        # Rows go down: counterclockwise in columns and rows is clockwise on the image.
        assert polygon.exterior.is_ccw == (sign > 0)
        assert all(hole.is_ccw == (sign < 0) for hole in polygon.interiors)


def test_holes_that_touch_at_corners_stay_holes() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[[1, 2, 3, 4], [1, 2, 3, 4]] = INVALID
    (polygon,) = polygons_of(find(labels, [1]))
    assert len(polygon.interiors) == 4
    assert polygon.is_valid


def test_a_region_with_very_many_holes_is_one_polygon() -> None:
    labels = np.zeros((601, 601), np.uint8)
    labels[1::2, 1::2] = 1
    batches = find(labels, [100])
    polygons = polygons_of(batches)
    holes = shapely.get_num_interior_rings(polygons)
    assert sorted(holes.tolist())[-2:] == [0, 90_000]
    assert len(polygons) == 90_001


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_arms_that_meet_late_are_one_region(angle: int) -> None:
    comb = np.full((40, 41), 1, np.uint8)
    comb[:-1, ::2] = 0
    comb[-1] = 0
    labels = np.rot90(comb, angle // 90)
    expected = sorted(np.unique(labels, return_counts=True)[1].tolist())
    pixels = join(find(labels, [3]), "pixels")
    assert max(pixels) == expected[-1] == 21 * 39 + 41
    assert len(pixels) == 21


def test_confidence_must_be_known_wherever_there_is_a_label() -> None:
    confidence = np.array([[0.5, np.nan]], np.float32)
    with pytest.raises(SceneError, match="confidence must be a number wherever there is a label"):
        find(np.zeros((1, 2), np.uint8), confidence=confidence)


def test_a_label_map_wider_than_vertices_can_number_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 16777215 columns; it has 16777216"):
        RegionStream(Grid(1, 1 << 24))


def test_regions_divide_into_parts_of_few_points() -> None:
    batch = find(make_labels(40, 40, seed=2))[0]
    parts = list(batch.divide(50))
    assert list(polygons_of(parts)) == list(polygons_of([batch]))
    assert join(parts, "pixels") == batch.pixels.tolist()
    assert all(len(part.rings.points) <= 50 or len(part) == 1 for part in parts)
    assert len(parts) > 10
