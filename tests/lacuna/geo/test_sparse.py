"""Windows of which a sparse file, or a mask, says that they hold nothing."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.shutil import copy
from rasterio.windows import Window as GdalWindow

from lacuna.geo.source import open_raster
from lacuna.raster.adapt import find_valid
from lacuna.windows.window import Window
from tests.support.rasters import quiet, write_raster

SIDE = 16
EMPTY, EDGE, FULL = Window(0, 0, 32, 32), Window(30, 30, 3, 3), Window(32, 32, 32, 32)
RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def write_corner(path, count=3, value=200, interpretations=(), **profile):
    """Write a sparse raster of 64 × 64 of which only the last quarter is stored."""
    options = {"dtype": "uint8", "tiled": True, "blockxsize": SIDE, "blockysize": SIDE} | profile
    with (
        quiet(),
        rasterio.open(
            *(path, "w", "GTiff"), width=64, height=64, count=count, SPARSE_OK="TRUE", **options
        ) as file,
    ):
        if interpretations:
            file.colorinterp = interpretations
        file.write(
            np.full((count, 32, 32), value, options["dtype"]), window=GdalWindow(32, 32, 32, 32)
        )
    return path


def ask(path, nodata=None, **options):
    with open_raster(path, **options) as source:
        return [source.may_hold_data(window, nodata) for window in (EMPTY, EDGE, FULL)]


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize(
    "options",
    [
        {"nodata": 0},
        {"nodata": 7},
        {"nodata": np.nan, "dtype": "float32"},
        {"count": 4, "interpretations": RGBA},
    ],
)
def test_absent_blocks_that_are_missing_data_hold_none(options, interleave, tmp_path):
    path = write_corner(tmp_path / "a.tif", interleave=interleave, **options)

    assert ask(path) == [False, True, True]
    with open_raster(path) as source:
        assert not find_valid(source.read(EMPTY)).any()
        assert find_valid(source.read(FULL)).all()


@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}, {"tiled": False, "blockysize": 4}])
def test_absent_blocks_of_zeros_that_are_data_may_hold_some(options, tmp_path):
    assert ask(write_corner(tmp_path / "a.tif", **options)) == [True, True, True]


def test_strips_may_be_absent_too(tmp_path):
    path = write_corner(tmp_path / "a.tif", nodata=0, tiled=False, blockysize=4)

    assert ask(path) == [False, True, True]


@pytest.mark.parametrize("options", [{}, {"compress": "deflate"}, {"interleave": "band"}])
def test_a_single_strip_is_present_in_all_its_rows(options, tmp_path):
    values = np.full((3, 4096, 20), 200, np.uint8)
    path = write_raster(tmp_path / "a.tif", values, nodata=0, blockysize=4096, **options)

    with open_raster(path) as source:
        assert source.may_hold_data(Window(0, 0, 32, 20))
        assert source.may_hold_data(Window(3000, 0, 32, 20))


def test_a_no_data_value_that_is_given_counts_for_absent_blocks(tmp_path):
    path = write_corner(tmp_path / "a.tif", nodata=7)

    assert ask(path, nodata="none") == [True, True, True]
    assert ask(path, nodata=0) == [True, True, True]
    assert ask(path, nodata=7) == [False, True, True]
    assert ask(write_corner(tmp_path / "b.tif"), nodata=0) == [False, True, True]


def test_only_the_bands_that_are_read_count(tmp_path):
    path = write_corner(tmp_path / "a.tif", nodata=0, interleave="band")
    with quiet(), rasterio.open(path, "r+") as file:
        file.write(np.ones((SIDE, SIDE), np.uint8), 3, window=GdalWindow(0, 0, SIDE, SIDE))

    assert ask(path) == [True, True, True]
    assert ask(path, bands=[1, 2]) == [False, True, True]


def test_blocks_of_zeros_that_are_stored_may_hold_data(tmp_path):
    path = write_raster(
        *(tmp_path / "a.tif", np.zeros((1, 64, 64), np.uint8)),
        nodata=0,
        tiled=True,
        blockxsize=SIDE,
        blockysize=SIDE,
    )

    assert ask(path) == [True, True, True]


@pytest.mark.parametrize("internal", [True, False])
def test_a_window_without_a_pixel_of_the_mask_holds_no_data(internal, tmp_path):
    mask = np.zeros((64, 64), bool)
    mask[32:, 32:] = True
    path = write_raster(
        tmp_path / "a.tif", np.ones((3, 64, 64), np.uint8), mask=mask, internal_mask=internal
    )

    assert ask(path) == ask(path, nodata="none") == [False, True, True]


def test_other_formats_may_hold_data_everywhere(tmp_path):
    write_corner(tmp_path / "a.tif", nodata=0)
    with quiet(), rasterio.open(tmp_path / "a.tif") as file:
        copy(file, tmp_path / "a.vrt", driver="VRT")

    assert ask(tmp_path / "a.vrt") == [True, True, True]
