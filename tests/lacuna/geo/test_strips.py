"""Strips of a raster, which are decoded once however windows overlap."""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from lacuna.errors import InvalidImageError
from lacuna.geo.layout import lay_out
from lacuna.geo.source import RasterSource, open_raster
from lacuna.geo.strips import StripReader, part_columns
from lacuna.raster.adapt import find_valid
from lacuna.windows.window import Window
from tests.support.images import noise
from tests.support.rasters import quiet, write_raster

RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


@dataclass
class CountingDataset:
    """A dataset that counts how often each block of each band is read."""

    dataset: Any
    blocks: dict[Any, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def read(self, numbers, window, out):
        self._count(numbers, window)
        return self.dataset.read(numbers, window=window, out=out)

    def read_masks(self, number, window):
        self._count(["mask"], window)
        return self.dataset.read_masks(number, window=window)

    def _count(self, numbers, window):
        height, width = self.dataset.block_shapes[0]
        rows = range(window.row_off // height, -(-(window.row_off + window.height) // height))
        columns = range(window.col_off // width, -(-(window.col_off + window.width) // width))
        for block in product(numbers, rows, columns):
            self.blocks[block] = self.blocks.get(block, 0) + 1


def plan(height, width, side, halo, left=0):
    """Windows of a side and with a halo, row band by row band."""
    for top in range(0, height, side):
        for start in range(left, width, side):
            first_row, first_column = max(0, top - halo), max(0, start - halo)
            yield Window(
                first_row,
                first_column,
                min(height, top + side + halo) - first_row,
                min(width, start + side + halo) - first_column,
            )


LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 32, "interleave": "pixel"},
    "planar tiles": {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "band"},
    "strips": {"blockysize": 5},
    "rows": {"blockysize": 1},
    "one strip": {"blockysize": 200},
}
MASK = noise(90, 130) > 100
KINDS = {
    "plain": {"photometric": "minisblack"},
    "no data": {"photometric": "minisblack", "nodata": 0},
    "a mask": {"photometric": "minisblack", "mask": MASK},
    "a mask beside it": {"photometric": "minisblack", "mask": MASK, "internal_mask": False},
    "alpha": {"interpretations": RGBA},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_overlapping_windows_decode_each_block_once(layout, kind, tmp_path):
    path = write_raster(tmp_path / "a.tif", noise(4, 90, 130), **(LAYOUTS[layout] | KINDS[kind]))

    with quiet(), rasterio.open(path) as dataset, open_raster(path) as source:
        counting = CountingDataset(dataset)
        reader = StripReader(RasterSource(counting, "a.tif", lay_out(dataset)))
        for window in plan(90, 130, side=24, halo=7):
            found, expected = reader.read(window), source.read(window)
            np.testing.assert_array_equal(found.values, expected.values)
            np.testing.assert_array_equal(find_valid(found), find_valid(expected))

    assert set(counting.blocks.values()) == {1}
    height, width = dataset.block_shapes[0]
    planes = 5 if "mask" in kind else 4
    assert len(counting.blocks) == planes * -(-90 // height) * -(-130 // width)


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(8, 60),
    halo=st.integers(0, 20),
    blocks=st.sampled_from([(16, 16), (32, 16), (16, 48)]),
    bands=st.permutations([1, 2, 3]).flatmap(
        lambda order: st.integers(1, 3).map(lambda count: order[:count])
    ),
)
def test_strips_give_the_windows_of_the_raster(side, halo, blocks, bands):
    values = noise(3, 70, 90, dtype=np.uint16)
    with MemoryFile() as memory, quiet():
        with memory.open(
            driver="GTiff",
            dtype="uint16",
            count=3,
            height=70,
            width=90,
            tiled=True,
            blockysize=blocks[0],
            blockxsize=blocks[1],
        ) as file:
            file.write(values)
        with open_raster(memory.name, bands=bands) as source:
            reader = StripReader(source)
            for window in plan(70, 90, side, halo):
                rows, columns = window.slices
                expected = np.moveaxis(values[[band - 1 for band in bands]], 0, 2)
                np.testing.assert_array_equal(reader.read(window).values, expected[rows, columns])


def test_windows_that_are_left_out_are_not_read(tmp_path):
    path = write_raster(tmp_path / "a.tif", noise(1, 90, 130), blockysize=5)

    with quiet(), rasterio.open(path) as dataset:
        counting = CountingDataset(dataset)
        reader = StripReader(RasterSource(counting, "a.tif", lay_out(dataset)))
        reader.read(Window(0, 0, 12, 30))
        reader.read(Window(61, 100, 12, 30))

    assert {row for _, row, _ in counting.blocks} == {0, 1, 2, 12, 13, 14}


@pytest.mark.parametrize("budget", [5_000, 12_000, 20_000, 10**9])
def test_a_part_of_the_columns_stays_within_its_memory(budget, tmp_path):
    halo, side, step = 7, 24, 8
    path = write_raster(
        *(tmp_path / "a.tif", noise(3, 90, 330)),
        tiled=True,
        blockxsize=16,
        blockysize=16,
        interleave="pixel",
    )
    covered = np.zeros((90, 330), int)
    with open_raster(path) as source:
        parts = part_columns(
            source, rows=side + 2 * halo, halo=halo, step=step, budget_bytes=budget
        )
        for left, right in parts:
            first, last = max(0, left - halo), min(330, right + halo)
            held = min(side + 2 * halo + 2 * 15, 90) * (last - first) * source.pixel_bytes
            assert held <= budget or right - left == step
            reader = StripReader(source, (first, last))
            for window in plan(90, right, side, 0, left):
                covered[window.slices] += 1
                reader.read(window)

    assert (covered == 1).all()
    assert all(left % step == 0 for left, _ in parts)
    assert (len(parts) == 1) == (budget == 10**9)
    if budget == 20_000:
        assert all(left % 16 == 0 for left, _ in parts)


def test_windows_from_the_bottom_to_the_top_are_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", noise(1, 90, 130), blockysize=5)

    with open_raster(path) as source:
        reader = StripReader(source)
        reader.read(Window(40, 0, 20, 20))
        with pytest.raises(ValueError, match="must come from top to bottom; rows above 40"):
            reader.read(Window(39, 0, 20, 20))


def test_a_window_beyond_the_columns_is_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", noise(1, 90, 130))

    with (
        open_raster(path) as source,
        pytest.raises(ValueError, match="must be inside columns 32 to 64"),
    ):
        StripReader(source, (32, 64)).read(Window(0, 30, 5, 5))


def test_a_truncated_raster_is_told_with_its_rows(tmp_path):
    path = write_raster(tmp_path / "a.tif", noise(1, 90, 130), blockysize=5)
    path.write_bytes(path.read_bytes()[:-2000])

    with open_raster(path) as source:
        reader = StripReader(source)
        reader.read(Window(0, 0, 30, 130))
        with pytest.raises(InvalidImageError, match=r"a\.tif, rows 60 to 89: "):
            reader.read(Window(60, 0, 30, 130))
