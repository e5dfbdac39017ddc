import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.buckets import Ladder, assemble
from service.core.sample import Sample

LADDERS = st.builds(Ladder, st.integers(1, 64), st.floats(1.01, 3))
SIDES = st.integers(1, 20_000)


@given(LADDERS, SIDES)
def test_a_side_fits_and_is_a_multiple(ladder, side):
    chosen = ladder.choose_side(side)

    assert chosen >= side
    assert chosen % ladder.multiple == 0


@given(LADDERS, SIDES, SIDES)
def test_a_larger_window_never_gets_a_smaller_bucket(ladder, first, second):
    low, high = sorted((first, second))

    assert ladder.choose_side(low) <= ladder.choose_side(high)


@given(LADDERS, SIDES)
def test_a_rung_is_its_own_bucket(ladder, side):
    rung = ladder.choose_side(side)

    assert ladder.choose_side(rung) == rung


@given(LADDERS, SIDES)
def test_padding_is_bounded_by_the_growth_and_one_multiple(ladder, side):
    assert ladder.choose_side(side) < side * ladder.growth + ladder.multiple


def test_the_rungs_of_a_real_model_are_few():
    ladder = Ladder(8)

    assert len({ladder.choose_side(side) for side in range(1, 8193)}) < 60


def test_height_and_width_are_chosen_apart():
    assert Ladder(8).choose_bucket((7, 17)) == (8, 24)


@pytest.mark.parametrize(("multiple", "growth"), [(0, 1.5), (8, 1.0)])
def test_a_ladder_that_leads_nowhere_is_refused(multiple, growth):
    with pytest.raises(ValueError, match="multiple must be at least 1"):
        Ladder(multiple, growth)


def test_samples_stand_in_the_top_left_corner_of_their_canvases():
    small = Sample(np.full((1, 2, 3), 5, np.uint8), np.ones((1, 2), bool))
    large = Sample(np.full((2, 3, 3), 6, np.uint8), np.ones((2, 3), bool))

    images, masks = assemble([small, large], (2, 4))

    assert images.dtype == np.float32
    assert images[0, :, :, 0].tolist() == [[5, 5, 0, 0], [0, 0, 0, 0]]
    assert images[1, :, :, 2].tolist() == [[6, 6, 6, 0], [6, 6, 6, 0]]
    assert masks.sum(axis=(1, 2)).tolist() == [2, 6]
