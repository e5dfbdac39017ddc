import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lacuna.sample import Sample
from service.core.buckets import Ladder, assemble

LADDERS = st.builds(Ladder, st.integers(1, 64), st.floats(1.01, 3), st.integers(1, 500))
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


@given(LADDERS, SIDES)
def test_padding_is_less_than_the_longest_step(ladder, side):
    assert ladder.choose_side(side) - side < max(ladder.max_step, ladder.multiple)


def test_steps_double_until_the_longest_and_stay_so():
    assert np.diff(Ladder(8).rungs(384)).tolist() == [8] * 9 + [16] * 5 + [32] * 7


def test_a_longest_step_between_multiples_is_rounded_down():
    assert np.diff(Ladder(12, max_step=32).rungs(1000)[-10:]).tolist() == [24] * 9


@pytest.mark.parametrize("multiple", [1, 8, 16, 32])
def test_usual_sizes_are_not_padded(multiple):
    ladder = Ladder(multiple)

    assert [
        side for side in (64, 96, 128, 256, 320, 512, 640, 1024) if ladder.choose_side(side) > side
    ] == []


@given(LADDERS, st.integers(0, 2000))
def test_the_rungs_up_to_a_limit_are_the_sides_ever_chosen_up_to_there(ladder, limit):
    chosen = {ladder.choose_side(side) for side in range(1, limit + 1)}

    assert ladder.rungs(limit) == tuple(sorted(side for side in chosen if side <= limit))


def test_the_rungs_of_a_real_model_are_few():
    assert len(Ladder(8).rungs(256)) == 18
    assert len(Ladder(8).rungs(1024)) == 42


def test_height_and_width_are_chosen_apart():
    assert Ladder(8).choose_bucket((7, 17)) == (8, 24)


@pytest.mark.parametrize(
    ("multiple", "growth", "max_step"), [(0, 1.5, 32), (8, 1.0, 32), (8, 1.5, 0)]
)
def test_a_ladder_that_leads_nowhere_is_refused(multiple, growth, max_step):
    with pytest.raises(ValueError, match="multiple must be at least 1"):
        Ladder(multiple, growth, max_step)


def test_samples_stand_in_the_top_left_corner_of_their_canvases():
    small = Sample(np.full((1, 2, 3), 5, np.uint8), np.ones((1, 2), bool))
    large = Sample(np.full((2, 3, 3), 6, np.uint8), np.ones((2, 3), bool))

    images, masks = assemble([small, large], (2, 4))

    assert images.dtype == np.float32
    assert images[0, :, :, 0].tolist() == [[5, 5, 0, 0], [0, 0, 0, 0]]
    assert images[1, :, :, 2].tolist() == [[6, 6, 6, 0], [6, 6, 6, 0]]
    assert masks.sum(axis=(1, 2)).tolist() == [2, 6]


@st.composite
def samples(draw):
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4)))
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
    elements = (
        st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1.5, 0.1, 0.0])
        if dtype is np.float32
        else None
    )
    image = draw(arrays(dtype, shape, elements=elements))
    return Sample(image, draw(arrays(bool, shape[:2])))


@given(samples())
def test_valid_pixels_come_through_and_nothing_else(sample):
    before = sample.image.copy()

    images, masks = assemble([sample], (8, 7))

    height, width = sample.size
    expected = np.zeros((1, 8, 7, sample.image.shape[2]), np.float32)
    expected[0, :height, :width] = np.where(sample.mask[:, :, None], sample.image, 0)
    np.testing.assert_array_equal(images, expected)
    assert masks.sum() == sample.mask.sum()
    np.testing.assert_array_equal(sample.image, before)


def test_a_part_of_a_larger_image_is_assembled_as_it_lies_there():
    image = np.arange(2 * 6 * 8, dtype=np.float32).reshape(6, 8, 2)
    mask = image[:, :, 0] % 3 > 0

    images, _ = assemble([Sample(image[1:5, 2:7], mask[1:5, 2:7])], (4, 5))

    np.testing.assert_array_equal(images[0], (image * mask[:, :, None])[1:5, 2:7])


@given(samples(), st.integers(0, 2), st.integers(0, 3), st.integers(1, 3))
def test_nothing_of_an_earlier_batch_is_left_beside_the_samples(sample, top, left, count):
    height, width, channels = sample.image.shape
    shape = count, height + 2, width + 3
    # Memory of this size, which is the next to be given out.
    stale = np.full((*shape, channels), np.nan, np.float32), np.ones(shape, np.bool_)
    del stale

    images, masks = assemble([sample] * count, shape[1:], corners=[(top, left)] * count)

    images[:, top : top + height, left : left + width] = 0
    masks[:, top : top + height, left : left + width] = False
    assert not images.any()
    assert not masks.any()
