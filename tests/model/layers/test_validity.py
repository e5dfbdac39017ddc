import numpy as np
import pytest
import tensorflow as tf

from model.layers import ValidityFromNoData


def draw(channels=3):
    return np.random.default_rng(0).normal(size=(1, 4, 5, channels)).astype(np.float32)


def invalid_at(layer, inputs):
    """Give the rows and columns that are invalid in the first image."""
    return sorted(map(tuple, np.argwhere(~np.asarray(layer(inputs)[1])[0, :, :, 0]).tolist()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_with_a_channel_that_is_not_finite_is_no_data(value):
    x = draw()
    x[0, 1, 2, 0] = value
    y, _ = ValidityFromNoData()(x)
    assert invalid_at(ValidityFromNoData(), x) == [(1, 2)]
    np.testing.assert_array_equal(y[0, 1, 2], 0)
    np.testing.assert_array_equal(y[0, 0], x[0, 0])


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_sentinel_is_found_before_half_precision_rounds_it(dtype):
    x = draw()
    x[0, 1, 2], x[0, 3, 3] = -9999, -9998
    assert invalid_at(ValidityFromNoData(-9999, dtype=dtype), x) == [(1, 2)]


def test_the_sentinel_must_stand_in_every_channel():
    x = draw()
    x[0, 1, 2, :2] = 0
    x[0, 2, 2] = 0
    assert invalid_at(ValidityFromNoData(0), x) == [(2, 2)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float64"])
def test_the_sentinel_is_looked_for_in_the_images_own_dtype(dtype):
    x = tf.cast(np.arange(20).reshape(1, 4, 5, 1), dtype)
    y, _ = ValidityFromNoData(7)(x)
    assert invalid_at(ValidityFromNoData(7), x) == [(1, 2)]
    assert y.dtype == "float32"


def test_large_integers_are_not_taken_for_their_neighbours():
    x = np.full((1, 1, 2, 1), 2**24, np.int32)
    x[0, 0, 1] += 1
    assert invalid_at(ValidityFromNoData(2**24 + 1), x) == [(0, 1)]


@pytest.mark.parametrize("nodata", [-1, 256, 0.5, 1e30])
def test_a_sentinel_that_the_dtype_cannot_hold_is_found_nowhere(nodata):
    x = np.arange(20, dtype=np.uint8).reshape(1, 4, 5, 1)
    assert invalid_at(ValidityFromNoData(nodata), x) == []


@pytest.mark.parametrize("nodata", [np.nan, np.inf, None])
def test_what_is_not_finite_need_not_be_said(nodata):
    assert ValidityFromNoData(nodata).get_config()["nodata"] is None


def test_alpha_is_taken_off_and_what_is_transparent_is_no_data():
    x = draw(channels=4)
    x[..., 3] = 0.5
    x[0, 1, 2, 3], x[0, 2, 2, 3], x[0, 3, 3, 3] = 0, -1, np.nan
    y, mask = ValidityFromNoData(alpha=True)(x)
    assert invalid_at(ValidityFromNoData(alpha=True), x) == [(1, 2), (2, 2), (3, 3)]
    np.testing.assert_array_equal(y, np.where(mask, x[..., :3], 0))


def test_a_mask_that_is_given_takes_further_pixels_away():
    x = draw()
    x[0, 1, 2, 0] = np.nan
    mask = np.ones((1, 4, 5, 1), bool)
    mask[0, 0, 0] = False
    assert invalid_at(ValidityFromNoData(), [x, mask]) == [(0, 0), (1, 2)]


def test_arguments_and_inputs_out_of_range_are_refused():
    x, mask = draw(), np.ones((1, 4, 5, 1), bool)
    for make in (
        lambda: ValidityFromNoData("none"),
        lambda: ValidityFromNoData([1, 2]),
        lambda: ValidityFromNoData()(x[0]),
        lambda: ValidityFromNoData()([x, mask, mask]),
        lambda: ValidityFromNoData()([x, mask[:, 1:]]),
        lambda: ValidityFromNoData(alpha=True)(x[..., :1]),
    ):
        with pytest.raises(ValueError, match="Received: "):
            make()
