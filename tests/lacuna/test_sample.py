import numpy as np
import pytest

from lacuna.sample import Sample


def test_size_is_height_and_width():
    assert Sample(np.zeros((3, 5, 2), np.uint8), np.ones((3, 5), bool)).size == (3, 5)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((2, 2), np.uint8), np.ones((2, 2), bool), "must be \\(H, W, C\\)"),
        (np.zeros((0, 2, 1), np.uint8), np.ones((0, 2), bool), "no side 0"),
        (np.zeros((2, 2, 1), np.int32), np.ones((2, 2), bool), "it is int32"),
        (np.zeros((2, 2, 1), np.uint8), np.ones((2, 3), bool), "mask must be bool"),
        (np.zeros((2, 2, 1), np.uint8), np.ones((2, 2), np.uint8), "it is uint8"),
        (np.ma.zeros((2, 2, 1), np.uint8), np.ones((2, 2), bool), "one is a masked array"),
        (np.zeros((2, 2, 1), np.uint8), np.ma.ones((2, 2), bool), "one is a masked array"),
    ],
)
def test_arrays_of_another_shape_or_dtype_are_refused(image, mask, message):
    with pytest.raises(ValueError, match=message):
        Sample(image, mask)
