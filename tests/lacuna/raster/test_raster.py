import numpy as np
import pytest

from lacuna.raster.raster import Raster, narrow


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 2), np.uint8), r"must be \(H, W, C\)"),
        (np.zeros((0, 2, 1), np.uint8), r"must be \(H, W, C\)"),
        (np.zeros((2, 2, 1), np.float64), "must be uint8, uint16 or float32"),
    ],
)
def test_values_have_three_axes_and_a_dtype_that_models_take(values, words):
    with pytest.raises(ValueError, match=words):
        Raster(values)


@pytest.mark.parametrize("valid", [np.ones((2, 3), bool), np.ones((2, 2), np.uint8)])
def test_validity_has_the_size_of_the_values(valid):
    with pytest.raises(ValueError, match="valid must be bool of shape"):
        Raster(np.zeros((2, 2, 1), np.uint8), valid)


def test_large_integers_are_rounded_to_float32():
    assert narrow(np.array([2**24 + 1], np.int64)).tolist() == [2.0**24]
