import numpy as np
import pytest

from service.core.sample import Sample


def test_what_stands_under_the_mask_is_gone_from_a_clean_sample():
    image = np.array([[[np.nan], [1.0]], [[np.inf], [2.0]]], np.float32)
    mask = np.array([[False, True], [False, True]])

    sample = Sample.clean(image, mask)

    assert sample.image.tolist() == [[[0.0], [1.0]], [[0.0], [2.0]]]


def test_cleaning_leaves_the_callers_image_alone():
    image = np.full((2, 2, 1), 7, np.uint8)

    Sample.clean(image, np.zeros((2, 2), bool))

    assert (image == 7).all()


def test_a_fully_valid_image_is_not_copied():
    image = np.ones((2, 3, 1), np.uint8)

    assert Sample.clean(image, np.ones((2, 3), bool)).image is image


def test_size_is_height_and_width():
    assert Sample(np.zeros((3, 5, 2), np.uint8), np.ones((3, 5), bool)).size == (3, 5)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((2, 2), np.uint8), np.ones((2, 2), bool), "must be \\(H, W, C\\)"),
        (np.zeros((0, 2, 1), np.uint8), np.ones((0, 2), bool), "none of them 0"),
        (np.zeros((2, 2, 1), np.int32), np.ones((2, 2), bool), "it is int32"),
        (np.zeros((2, 2, 1), np.uint8), np.ones((2, 3), bool), "mask must be bool"),
        (np.zeros((2, 2, 1), np.uint8), np.ones((2, 2), np.uint8), "it is uint8"),
    ],
)
def test_arrays_of_another_shape_or_dtype_are_refused(image, mask, message):
    with pytest.raises(ValueError, match=message):
        Sample(image, mask)
