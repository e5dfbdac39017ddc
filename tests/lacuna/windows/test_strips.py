import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from lacuna.windows.strips import count_strip_pixels, plan_strips
from lacuna.windows.tiling import Tiling
from tests.support.gridded import draw_mask


def count_slowly(mask, stride):
    """Count blocks of 1 × 4 cells with a valid pixel, and the first of each run once more."""
    total = 0
    for left in range(0, mask.shape[1], 4 * stride):
        blocks = [
            mask[top : top + stride, left : left + 4 * stride].any()
            for top in range(0, mask.shape[0], stride)
        ]
        total += sum(blocks) + sum(1 for valid, _ in itertools.groupby(blocks) if valid)
    return total * 4 * stride**2


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(0, 999),
    st.sampled_from((3, 20)),
    st.sampled_from((0.0, 0.1, 0.5, 1.0)),
    st.sampled_from((1, 2, 8)),
)
def test_blocks_and_runs_are_counted(size, seed, scale, valid, stride):
    mask = draw_mask(size, seed, scale, valid)

    assert count_strip_pixels(mask, stride) == count_slowly(mask, stride)


@pytest.mark.parametrize(("rows", "pixels"), [(8, 2 * 256), (9, 3 * 256), (64, 9 * 256)])
def test_one_strip_is_four_cells_wide(rows, pixels):
    mask = np.zeros((64, 64), bool)
    mask[:rows, 5] = True

    assert count_strip_pixels(mask, 8) == pixels


@settings(max_examples=30)
@given(
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.integers(0, 999),
    st.sampled_from((5, 20, 45)),
    st.sampled_from((0.0, 0.2, 0.5, 1.0)),
    st.sampled_from((1, 2, 4)),
    st.integers(0, 3),
    st.sampled_from((900, 5000, 10**6)),
    st.sampled_from((400, 10**6)),
    st.integers(1, 5),
)
def test_each_valid_pixel_is_kept_once_by_a_tile_that_sees_what_it_depends_on(
    size, seed, scale, valid, stride, cells, max_pixels, split_pixels, workers
):
    mask = draw_mask(size, seed, scale, valid)
    tiling = Tiling(stride, stride * cells, max_pixels, split_pixels)

    tiles = plan_strips(mask, tiling, workers)

    kept = np.zeros(size, int)
    for (seen, output), pixels in tiles:
        kept[output.slices] += 1
        assert seen.top % stride == seen.left % stride == 0
        assert pixels == count_strip_pixels(mask[seen.slices], stride)
        assert seen.height * seen.width <= tiling.limit
        assert (
            max(output.height, output.width) <= stride
            or len(tiles) <= workers
            or (pixels <= split_pixels)
        )
        wanted = np.zeros_like(mask)
        wanted[output.slices] = mask[output.slices]
        needed = mask & maximum_filter(wanted, 2 * tiling.halo + 1, mode="constant")
        needed[seen.slices] = False
        assert not needed.any()
    assert (kept[mask] == 1).all()
    assert kept.max() <= 1


@pytest.mark.parametrize("turned", [False, True])
def test_idle_workers_share_an_image_evenly(turned):
    mask = np.arange(512)[:, None] > np.arange(400)  # a triangle above a rectangle
    mask = mask.T if turned else mask
    tiling = Tiling(8, 16)

    shared = plan_strips(mask, tiling, 2)

    least, most = sorted(pixels for _, pixels in shared)
    assert most < 1.1 * least
    assert most < 0.65 * count_strip_pixels(mask, 8)  # half of it, and a halo


def test_an_image_that_would_be_mostly_halo_is_not_shared():
    mask = np.ones((160, 160), bool)

    assert len(plan_strips(mask, Tiling(8, 56), 2)) == 1
    assert len(plan_strips(mask, Tiling(8, 16), 2)) == 2
