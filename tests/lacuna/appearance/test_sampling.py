import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.appearance.sampling import choose_steps, sample_values
from tests.support.strategies import seeds


def number(height, width):
    """An image whose values tell their places."""
    return np.arange(height * width, dtype=np.float32).reshape(height, width, 1)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 9), st.integers(0, 9), seeds)
def test_a_sample_holds_valid_pixels_alone_and_is_the_same_on_every_canvas(
    height, width, above, beside, seed
):
    image, mask = number(height, width), np.random.default_rng(seed).random((height, width)) < 0.6
    canvas = [(above, 7), (beside, 3)]
    padded = np.pad(image, [*canvas, (0, 0)], constant_values=np.nan)

    sample = sample_values(image, mask, 64)
    np.testing.assert_array_equal(sample, sample_values(padded, np.pad(mask, canvas), 64))
    places = sample[:, 0].astype(int)
    assert mask.ravel()[places].all()
    assert len(places) or not mask.any()


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (64, 64), (1000, 1500), (3, 3)])
def test_about_as_many_pixels_are_taken_as_asked_for(size):
    down, right = choose_steps(size, 256)

    taken = -(-size[0] // down) * -(-size[1] // right)
    assert min(256, size[0] * size[1]) <= taken <= 2 * 256


def test_lines_between_those_of_the_grid_are_found():
    mask = np.zeros((512, 512), np.bool_)
    mask[1::2] = True
    mask[0, 0] = mask[0, 511] = True  # the grid's first row

    assert len(sample_values(number(512, 512), mask, 64)) >= 32
