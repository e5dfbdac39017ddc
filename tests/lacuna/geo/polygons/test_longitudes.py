from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from lacuna.errors import NotGeoreferencedError
from lacuna.geo.grid import Grid
from lacuna.geo.polygons.bending import SPACING, add_points
from lacuna.geo.polygons.longitudes import LonLatPlacement, cut_at_antimeridian
from lacuna.geo.polygons.placement import GridPlacement, is_mirrored
from lacuna.geo.polygons.stream import RegionStream
from tests.support.label_maps import LabelMap, label_maps

UTM = CRS.from_epsg(32618)
LOCAL = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')


@pytest.mark.parametrize(("metres", "decimals"), [(1000, 6), (10, 8), (0.01, 11), (1e-7, 12)])
def test_decimals_are_a_thousandth_of_a_pixel(metres: float, decimals: int) -> None:
    grid = Grid(100, 100, UTM, Affine(metres, 0, 3e5, 0, -metres, 4.5e6))
    assert LonLatPlacement(grid).decimals == decimals


@given(label_maps(), st.sampled_from([30.0, 0.01]), st.sampled_from([0.0, 33.0]))
def test_rounded_polygons_are_valid_and_still_match(
    label_map: LabelMap, metres: float, angle: float
) -> None:
    labels = label_map.labels
    transform = Affine.translation(3e5, 4.5e6) @ Affine.rotation(angle)
    grid = Grid(*labels.shape, UTM, transform @ Affine.scale(metres, -metres))
    placement = LonLatPlacement(grid)
    stream = RegionStream(grid, mirror=is_mirrored(placement, grid))
    for regions in [*stream.feed(labels), *stream.finish()]:
        polygons = regions.make_polygons(placement.place(regions.rings.points))
        assert shapely.is_valid(polygons).all()
        assert shapely.coverage_is_valid(polygons)
        assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()


def test_long_edges_stay_where_they_are() -> None:
    labels = np.zeros((2000, 3000), np.uint8)
    transform = Affine(30, 0, 3e5, 0, -30, 7e6)
    grid = Grid(2000, 3000, UTM, transform)
    stream = RegionStream(grid)
    (regions,) = [*stream.feed(labels), *stream.finish()]
    placed = LonLatPlacement(grid).place(add_points(regions.rings).points)
    along = np.linspace(placed[:-1], placed[1:], 9).reshape(-1, 2)
    x, y = Transformer.from_crs("EPSG:4326", UTM.to_wkt(), always_xy=True).transform(*along.T)
    outline = shapely.box(3e5, 7e6 - 2000 * 30, 3e5 + 3000 * 30, 7e6).exterior
    assert shapely.distance(outline, shapely.points(x, y)).max() < 0.01 * 30


@given(label_maps(largest=40), st.integers(1, 40))
def test_points_on_edges_are_the_same_from_both_sides(label_map: LabelMap, scale: int) -> None:
    labels = label_map.labels.repeat(scale, axis=0).repeat(scale, axis=1)
    stream = RegionStream(Grid(*labels.shape))
    for regions in [*stream.feed(labels), *stream.finish()]:
        rings = add_points(regions.rings)
        before = regions.make_polygons(regions.rings.points.astype(float))
        after = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, rings.points.astype(float), rings[1:]
        )
        assert shapely.equals(before, after).all()
        assert shapely.coverage_is_valid(after)
        steps = np.abs(np.diff(rings.points, axis=0)).max(axis=1)
        steps[rings.rings[1:-1] - 1] = 0
        assert steps.max() <= SPACING


def test_longitudes_go_on_behind_the_antimeridian() -> None:
    grid = Grid(100, 100, CRS.from_epsg(32660), Affine(2000, 0, 7e5, 0, -2000, 2e6))
    longitudes, latitudes = LonLatPlacement(grid).place(np.array([[0, 0], [100, 0]])).T
    assert 178 < longitudes[0] < 180 < longitudes[1] < 182
    assert latitudes == pytest.approx([18, 18], abs=0.2)


def test_longitudes_of_a_grid_from_0_to_360_are_continuous() -> None:
    grid = Grid(180, 360, CRS.from_epsg(4326), Affine(1, 0, 0, 0, -1, 90))
    placed = LonLatPlacement(grid).place(np.array([[0, 0], [190, 90], [360, 180]]))
    assert placed.tolist() == [[0, 90], [190, 0], [360, -90]]


def test_rows_half_a_pixel_behind_the_poles_end_there() -> None:
    grid = Grid(181, 360, CRS.from_epsg(4326), Affine(1, 0, -180, 0, -1, 90.5))
    placed = LonLatPlacement(grid).place(np.array([[0, 0], [0, 181]]))
    assert placed.tolist() == [[-180, 90], [-180, -90]]


def test_a_world_map_in_mercator_has_longitudes() -> None:
    side = 20037508.342789244
    grid = Grid(256, 256, CRS.from_epsg(3857), Affine(side / 128, 0, -side, 0, -side / 128, side))
    placed = LonLatPlacement(grid).place(np.array([[0, 0], [256, 128]]))
    np.testing.assert_allclose(placed, [[-180, 85.051129], [180, 0]], atol=1e-6)


def test_a_polygon_is_cut_where_it_crosses_the_antimeridian() -> None:
    east, west = sorted(
        cut_at_antimeridian(shapely.box(179, 10, 182, 12), 6), key=lambda part: -part.bounds[0]
    )
    assert east.equals(shapely.box(179, 10, 180, 12))
    assert west.equals(shapely.box(-180, 10, -178, 12))
    assert east.exterior.is_ccw
    assert west.exterior.is_ccw


def test_a_polygon_wholly_behind_the_antimeridian_is_moved() -> None:
    (moved,) = cut_at_antimeridian(shapely.box(190, 10, 200, 12), 6)
    assert moved.equals(shapely.box(-170, 10, -160, 12))


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        (Grid(9, 9), "reference system; this one has none"),
        (Grid(9, 9, None, Affine(2, 0, 0, 0, -2, 0)), "reference system; this one has none"),
        (Grid(9, 9, UTM), "this one has no transform"),
        (Grid(9, 9, LOCAL, Affine(2, 0, 0, 0, -2, 0)), "this one's is a local one"),
        (
            Grid(9, 9, CRS.from_epsg(3031), Affine(1e5, 0, -4e5, 0, -1e5, 4e5)),
            "needs a raster that is not around a pole; this one is",
        ),
        (
            Grid(9, 9, CRS.from_proj4("+proj=eqc +R=1737400"), Affine(1e3, 0, 0, 0, -1e3, 0)),
            "there is no way to it",
        ),
        (
            Grid(
                9,
                9,
                CRS.from_proj4("+proj=geos +h=35786023 +lon_0=-75 +sweep=x +ellps=GRS80"),
                Affine(1.3e6, 0, -5.8e6, 0, -1.3e6, 5.8e6),
            ),
            "for all corners of its pixels",
        ),
    ],
    ids=["nothing", "no CRS", "no transform", "local", "pole", "Moon", "beyond the Earth"],
)
def test_a_raster_without_longitudes_is_refused(grid: Grid, reason: str) -> None:
    with pytest.raises(NotGeoreferencedError, match=reason):
        LonLatPlacement(grid)


@pytest.mark.parametrize("placement", [GridPlacement, LonLatPlacement])
def test_ground_control_points_alone_are_refused(placement: type) -> None:
    point = GroundControlPoint(0, 0, 10, 50)
    with pytest.raises(NotGeoreferencedError, match="has only ground control points"):
        placement(Grid(9, 9, gcps=(point,), gcps_crs=CRS.from_epsg(4326)))
