import math
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.warp import transform
from tifffile import TiffFile

from lacuna.geo.grid import Grid
from lacuna.geo.place import describe, make_grid
from lacuna.geo.tags import read_grid
from lacuna.georeference import GeoTiffTags
from lacuna.raster.geotiff import read_georeference
from tests.support.geotiffs import NORTH_UP, UTM, geotiff_file
from tests.support.images import tiff_file
from tests.support.rasters import find_real_rasters

VALUES = np.zeros((5, 7), np.uint8)
LAEA = "+proj=laea +lat_0=12 +lon_0=3 +x_0=5 +y_0=7 +datum=WGS84 +units=m"
POINTS = [
    GroundControlPoint(row, column, 5e5 + 9 * column + row, 4e6 - 11 * row, 7.5)
    for row, column in ((0, 0), (0, 7), (5, 0), (5, 7))
]
MANY_POINTS = [
    GroundControlPoint(row, column, 5e5 + 9 * column + row, 4e6 - 11 * row, 7.5)
    for row in range(70)
    for column in range(30)
]
KINDS = {
    "UTM": {},
    "geographic": {"crs": "EPSG:4326", "transform": Affine(0.01, 0, -75, 0, -0.02, 40)},
    "rotated": {"transform": NORTH_UP @ Affine.rotation(30)},
    "south up": {"transform": Affine(10, 0, 5e5, 0, 10, 4e6)},
    "custom CRS": {"crs": LAEA},
    "custom CRS of ArcGIS": {"crs": LAEA, "GEOTIFF_KEYS_FLAVOR": "ESRI_PE"},
    "no CRS": {"crs": None},
    "no transform": {"transform": None},
    "nothing": {"crs": None, "transform": None},
    "points": {"transform": None, "gcps": POINTS},
    "many points": {"transform": None, "gcps": MANY_POINTS},
    "pixel is point": {"AREA_OR_POINT": "Point"},
    "feet and heights": {"crs": "EPSG:2263+5703"},
}
SEEN = {
    "keys": (1, 1, 0, 1, 1024, 0, 1, 1),
    "pixel_scale": (1.0, 1.0, 0.0),
    "tiepoints": (0.0,) * 6,
}


def read_tags(data):
    with TiffFile(BytesIO(data)) as file:
        return read_georeference(file.pages.first) or GeoTiffTags()


def check_grid(data):
    """Hold the grid of a file's tags to what GDAL finds in the whole file."""
    with MemoryFile(data) as file, file.open() as dataset:
        expected = Grid.of(dataset)
    found = read_grid(read_tags(data), expected.size)
    assert replace(found, gcps=()) == replace(expected, gcps=())
    assert list(map(repr, found.gcps)) == list(map(repr, expected.gcps))
    return expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_tags_say_what_gdal_finds_in_the_whole_file(kind):
    grid = check_grid(geotiff_file(VALUES, **KINDS[kind]))

    again = make_grid(describe(grid), grid.size)
    assert replace(again, gcps=()) == replace(grid, gcps=())
    assert [(p.row, p.col, p.x, p.y, p.z) for p in again.gcps] == [
        (p.row, p.col, p.x, p.y, p.z) for p in grid.gcps
    ]


@pytest.mark.parametrize("path", find_real_rasters())
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_tags_of_real_files_say_what_gdal_finds(path):
    grid = check_grid(path.read_bytes())

    assert make_grid(describe(grid), grid.size) == grid


def test_a_crs_is_told_by_its_code_and_otherwise_in_full():
    assert describe(Grid(5, 7, CRS.from_user_input(UTM), NORTH_UP)).crs == UTM
    told = describe(Grid(5, 7, CRS.from_user_input(LAEA), NORTH_UP)).crs
    assert told.startswith("PROJCRS[")
    # A code is told only where it means the same: here the axis is another.
    moved = (
        CRS.from_epsg(32618).to_wkt().replace('"central_meridian",-75', '"central_meridian",-74')
    )
    assert describe(Grid(5, 7, CRS.from_wkt(moved), NORTH_UP)).crs.startswith("PROJCRS[")


def spell_out(wkt, **changes):
    """Return tags of a CRS that is spelt out as ArcGIS does it."""
    text = f"ESRI PE String = {wkt}|"
    keys = ((1024, 0, 1, 32767), (1025, 0, 1, 1), (3072, 0, 1, 32767), (3073, 34737, len(text), 0))
    whole = (1, 1, 0, len(keys), *(number for key in keys for number in key))
    return replace(GeoTiffTags(**SEEN), keys=whole, text=text, **changes)


GEOGCS = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]{}],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
)
PROJCS = (
    'PROJCS["X",{},PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",500000.0],'
    'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",-75.0],'
    'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]{}]'
)


def test_a_crs_that_is_spelt_out_plainly_is_read():
    crs = read_grid(spell_out(PROJCS.format(GEOGCS.format(""), "")), (5, 7)).crs

    assert "Transverse Mercator" in crs.to_wkt(version="WKT2_2019")


@pytest.mark.parametrize(
    "wkt",
    [
        PROJCS.format(GEOGCS.format(""), ',EXTENSION["PROJ4","+init=FILE:1 +no_defs"]'),
        PROJCS.format(GEOGCS.format(',EXTENSION["PROJ4_GRIDS","FILE"]'), ""),
        PROJCS.format(GEOGCS.format(',EXTENSION["PROJ4_GRIDS","FILE"]'), "").replace("[", "("),
        PROJCS.format(GEOGCS.format(""), "").replace('"X"', '"FILE"'),
        'BOUNDCRS[SOURCECRS[...],PARAMETERFILE["Latitude and longitude difference file","FILE"]]',
        "+proj=utm +zone=18 +nadgrids=FILE",
        "FILE",
        "https://127.0.0.1:9/FILE",
    ],
)
@pytest.mark.parametrize("prefix", ["ESRI PE String = ", "esri pe string = ", "ESRI PE String="])
def test_a_crs_that_may_name_a_file_is_left_out_and_the_transform_is_kept(wkt, prefix, tmp_path):
    tags = spell_out(wkt.replace("FILE", str(tmp_path / "grid.gsb")))
    tags = replace(tags, text=tags.text.replace("ESRI PE String = ", prefix))

    grid = read_grid(tags, (5, 7))

    assert grid.crs is None
    assert grid.transform == Affine(1, 0, 0, 0, -1, 0)


def test_it_is_left_out_when_it_is_pieced_together_of_several_texts():
    halves = 'ESRI PE String = PROJCS["X"|,EXTENSION("PROJ4_GRIDS","/grid.gsb")|'
    tags = replace(spell_out("X"), text=halves)

    assert read_grid(tags, (5, 7)).crs is None


def test_gdal_and_proj_would_open_such_a_file_if_they_were_given_the_text(tmp_path, caplog):
    """The reason for the rule: a client's file must not name a file of the server."""
    path = tmp_path / "grid.gsb"
    path.write_text("no grid")
    wkt = PROJCS.format(GEOGCS.format(f',EXTENSION["PROJ4_GRIDS","{path}"]'), "")
    tags = spell_out(wkt)
    fields = [
        (33550, 12, 3, tags.pixel_scale, True),
        (33922, 12, 6, tags.tiepoints, True),
        (34735, 3, len(tags.keys), tags.keys, True),
        (34737, 2, len(tags.text) + 1, tags.text, True),
    ]
    with MemoryFile(tiff_file(VALUES, extratags=fields)) as file, file.open() as dataset:
        transform(dataset.crs, CRS.from_epsg(4326), [5e5], [4e6])

    assert f"grid format for filename '{path}'" in caplog.text


@pytest.mark.parametrize(
    ("changes", "has_crs", "has_transform"),
    [
        ({"pixel_scale": (math.nan, 10.0, 0.0)}, True, False),
        ({"pixel_scale": (math.inf, 10.0, 0.0)}, True, False),
        ({"pixel_scale": (0.0, 0.0, 0.0)}, True, False),
        ({"pixel_scale": (10.0,)}, True, False),
        ({"tiepoints": (math.nan,) * 6}, True, True),
        ({"tiepoints": (0.0,) * 600_000}, True, True),
        ({"pixel_scale": (), "tiepoints": ()}, True, False),
        ({"keys": ()}, False, True),
        ({"keys": (1,)}, False, True),
        ({"keys": (70_000,) * 8}, False, True),
        ({"keys": (-1,) * 8}, False, True),
        ({"keys": (1, 1, 0, 65535, 1024, 0, 1, 1)}, False, True),
        ({"keys": (1, 1, 0, 1) + (3072, 0, 1, 32618) * 60_000}, False, True),
        ({"doubles": (1.0,) * 100_000}, False, True),
        ({"text": "x" * 100_000}, False, True),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_damaged_tags_cost_what_they_say_and_nothing_else(changes, has_crs, has_transform):
    tags = replace(read_tags(geotiff_file(VALUES)), **changes)

    grid = read_grid(tags, (5, 7))

    # A tie point without the size of a pixel is a control point.
    crs = grid.gcps_crs if grid.gcps else grid.crs
    assert (crs is not None, grid.transform is not None) == (has_crs, has_transform)
    assert grid.size == (5, 7)


numbers = st.floats() | st.sampled_from([0.0, 1.0, -1.0, 1e308, 5e-324])
codes = st.integers(0, 65535) | st.sampled_from(
    [0, 1, 2, 3, 1024, 2048, 3072, 4096, 32767, 34735, 34736, 34737, 4326, 32618, 3857, 5703]
)
texts = st.text(max_size=60) | st.text(st.sampled_from('|"[]()={}\0 aé'), max_size=60)
many_numbers = st.lists(numbers, max_size=24).map(tuple)
any_tags = st.builds(
    GeoTiffTags,
    pixel_scale=many_numbers,
    tiepoints=many_numbers,
    transformation=many_numbers,
    keys=st.lists(st.tuples(codes, codes, codes, codes), max_size=8).map(
        lambda keys: (1, 1, 0, len(keys), *(number for key in keys for number in key))
    ),
    doubles=many_numbers,
    text=texts | texts.map(lambda text: f"ESRI PE String = {text}"),
)


@settings(max_examples=300, deadline=None)
@given(any_tags)
def test_whatever_the_tags_say_there_is_a_grid_with_a_usable_transform_or_none(tags):
    grid = read_grid(tags, (5, 7))

    assert grid.size == (5, 7)
    if grid.transform is not None:
        assert all(map(math.isfinite, grid.transform))
        assert not grid.transform.is_degenerate
    place = describe(grid)
    assert place.crs is None or isinstance(place.crs, str)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(KINDS)), st.data())
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_real_tags_with_some_numbers_changed_do_no_harm(kind, data):
    tags = read_tags(geotiff_file(VALUES, **KINDS[kind]))
    for name, values in (("keys", codes), ("doubles", numbers), ("tiepoints", numbers)):
        found = list(getattr(tags, name))
        for _ in range(data.draw(st.integers(0, 3)) if found else 0):
            found[data.draw(st.integers(0, len(found) - 1))] = data.draw(values)
        tags = replace(tags, **{name: tuple(found)})

    describe(read_grid(tags, (5, 7)))
