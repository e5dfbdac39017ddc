"""Support is the valid fraction of a square, in windows as in the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter

from lacuna.windows.support import compute_support
from lacuna.windows.window import Window
from tests.support.gridded import draw_mask


@pytest.mark.parametrize("radius", [0, 1, 7, 60])
def test_it_is_the_mean_of_the_mask_over_a_square(radius):
    mask = draw_mask((50, 40), 0, 10, 0.5)

    expected = uniform_filter(mask.astype(np.float64), 2 * radius + 1, mode="constant")

    assert np.allclose(compute_support(mask, radius), expected, atol=1e-6)


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.integers(0, 50), st.integers(0, 99))
def test_it_counts_the_valid_pixels_of_the_square_and_none_beyond_the_image(size, radius, seed):
    mask = draw_mask(size, seed, 9, 0.5)
    padded = np.pad(mask, radius)
    side = 2 * radius + 1

    counts = sliding_window_view(padded, (side, side)).sum(axis=(2, 3))

    expected = (counts / side**2).astype(np.float32)
    assert np.array_equal(compute_support(mask, radius), expected)


def test_it_is_exact_where_sums_exceed_16_bits():
    mask = np.ones((700, 600), bool)
    mask[:50] = False

    support = compute_support(mask, 200)

    assert support[350, 300] == 1
    assert support[0, 0] == np.float32(151 * 201 / 401**2)
    assert support[-1, -1] == np.float32(201**2 / 401**2)


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.integers(0, 20),
    st.integers(0, 99),
    st.data(),
)
def test_a_window_with_its_halo_gives_what_the_whole_gives(size, radius, seed, data):
    mask = draw_mask(size, seed, 9, 0.5)
    top, left = (data.draw(st.integers(0, side - 1)) for side in size)
    keep = Window(
        top,
        left,
        data.draw(st.integers(1, size[0] - top)),
        data.draw(st.integers(1, size[1] - left)),
    )
    seen = keep.grow(radius).intersect(Window(0, 0, *size))

    part = compute_support(mask[seen.slices], radius)

    whole = compute_support(mask, radius)[keep.slices]
    assert np.array_equal(part[keep.move(-seen.top, -seen.left).slices], whole)


def test_it_is_1_where_everything_around_is_valid_and_less_at_the_edge():
    support = compute_support(np.ones((9, 9), bool), 2)

    assert support.dtype == np.float32
    assert (support[2:-2, 2:-2] == 1).all()
    assert support[0, 0] == np.float32(9 / 25)
