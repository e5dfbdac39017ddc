import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from service.core.sample import Sample, Segmentation
from service.core.windows import Window, cut, find_valid_box, plan_windows, stitch

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40), fill=st.just(False))
STRIDES = st.integers(1, 16)


def make_sample(mask):
    return Sample(np.ones((*mask.shape, 1), np.uint8), mask)


@given(MASKS, STRIDES)
def test_the_box_holds_every_valid_pixel(mask, stride):
    box = find_valid_box(mask, stride)

    assert mask.sum() == (0 if box is None else mask[box.slices].sum())


@given(MASKS, STRIDES)
def test_the_box_starts_on_the_models_grid(mask, stride):
    box = find_valid_box(mask, stride)

    if box is not None:
        assert (box.top % stride, box.left % stride) == (0, 0)


@given(MASKS, STRIDES)
def test_the_box_is_no_larger_than_the_grid_makes_it(mask, stride):
    box = find_valid_box(mask, stride)

    if box is not None:
        rows, columns = np.nonzero(mask)
        assert rows.min() - box.top < stride
        assert columns.min() - box.left < stride
        assert (box.top + box.height, box.left + box.width) == (rows.max() + 1, columns.max() + 1)


def test_nothing_valid_needs_no_window():
    assert plan_windows(make_sample(np.zeros((5, 5), bool)), 8) == []


def test_a_cut_takes_the_windows_pixels():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)

    part = cut(Sample(image, np.ones((4, 5), bool)), Window(1, 2, 2, 3))

    assert part.image[:, :, 0].tolist() == [[7, 8, 9], [12, 13, 14]]


def test_what_no_window_covers_is_invalid():
    part = Segmentation(np.full((1, 2), 3, np.uint8), np.ones((1, 2, 4), np.float32))

    whole = stitch((2, 3), [(Window(1, 1, 1, 2), part)], classes=4)

    assert whole.labels.tolist() == [[255, 255, 255], [255, 3, 3]]
    assert whole.probabilities is not None
    assert whole.probabilities.sum(axis=2).tolist() == [[0, 0, 0], [0, 4, 4]]


def test_probabilities_are_left_out_unless_wanted():
    assert stitch((2, 2), [], classes=None).probabilities is None


def test_an_answer_without_windows_still_has_probabilities_if_wanted():
    probabilities = stitch((2, 2), [], classes=3).probabilities

    assert probabilities is not None
    assert probabilities.shape == (2, 2, 3)
