import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lacuna.errors import ImageTooLargeError, InvalidImageError, InvalidMaskError
from lacuna.raster.arrays import array_from_nested, mask_from_nested
from lacuna.raster.limits import ImageLimits

LIMITS = ImageLimits()


def test_rows_of_numbers_are_an_image_of_one_channel():
    raster = array_from_nested([[1, 2.5], [3, 255]], LIMITS)
    assert raster.values.tolist() == [[[1], [2.5]], [[3], [255]]]
    assert raster.values.dtype == np.float32
    assert (raster.valid, raster.full_scale) == (None, None)


def test_rows_of_lists_of_numbers_are_an_image_of_channels():
    raster = array_from_nested([[[1, 2], [3, 4], [5, 6]]], LIMITS)
    assert raster.values.tolist() == [[[1, 2], [3, 4], [5, 6]]]


def test_null_is_a_missing_value():
    values = array_from_nested([[1, None]], LIMITS).values
    assert np.isnan(values[0, :, 0]).tolist() == [False, True]


def test_a_number_beyond_float32_is_infinite():
    assert array_from_nested([[1e300]], LIMITS).values[0, 0, 0] == np.inf


@settings(max_examples=50, deadline=None)
@given(
    npst.arrays(
        np.float32,
        npst.array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements=st.floats(width=32, allow_nan=False),
    )
)
def test_what_an_array_lists_comes_back(values):
    np.testing.assert_array_equal(array_from_nested(values.tolist(), LIMITS).values, values)


BAD_LISTS = {
    "no list": ("text", "it is a str"),
    "no value": (None, "it is a NoneType"),
    "no rows": ([], "it is an empty list"),
    "no lists": ([1, 2], "a row is a int"),
    "an empty row": ([[]], "a row is an empty list"),
    "a later empty row": ([[1], []], "a row is an empty list"),
    "ragged rows": ([[1, 2], [3]], "the first has 2, another 1"),
    "ragged pixels": ([[[1, 2], [3]]], "ragged or empty"),
    "empty pixels": ([[[], []]], "channel"),
    "a number among pixels": ([[[1], 2]], "ragged or empty"),
    "a pixel among numbers": ([[2, [1]]], "it holds a list"),
    "too deep": ([[[[1]]]], "it holds a list"),
    "text": ([["1"]], "it holds a str"),
    "an object": ([[{}]], "it holds a dict"),
    "beyond float64": ([[10**400]], "within float64"),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_an_image_must_be_rows_of_numbers_of_one_length(case):
    value, words = BAD_LISTS[case]
    with pytest.raises(InvalidImageError, match=words):
        array_from_nested(value, LIMITS)


def test_booleans_are_no_image():
    with pytest.raises(InvalidImageError, match="it holds a bool"):
        array_from_nested([[True, 1]], LIMITS)


def test_too_many_pixels_are_refused():
    with pytest.raises(ImageTooLargeError, match="at most 3 pixels; it is 2×2"):
        array_from_nested([[1, 2], [3, 4]], ImageLimits(image_pixels=3))


def test_too_many_channels_are_refused():
    with pytest.raises(ImageTooLargeError, match="at most 2 channels; it has 3"):
        array_from_nested([[[1, 2, 3]]], ImageLimits(image_channels=2))


@pytest.mark.parametrize(
    "value", [[[True, False]], [[1, 0]], [[0.5, 0.0]], [[-1, 0]], [[[1], [0]]]]
)
def test_in_a_mask_everything_but_0_is_valid(value):
    mask = mask_from_nested(value)
    assert mask.dtype == np.bool_
    assert mask.tolist() == [[True, False]]


@pytest.mark.parametrize("case", sorted(set(BAD_LISTS) - {"empty pixels"}))
def test_a_mask_must_be_rows_of_one_length(case):
    value, words = BAD_LISTS[case]
    with pytest.raises(InvalidMaskError, match=words):
        mask_from_nested(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, None]], "it holds a NoneType"),
        ([[1, float("nan")]], "it holds NaN"),
        ([[[1, 0, 0]]], "must have one channel; it has 3"),
    ],
)
def test_a_mask_knows_no_missing_values_and_no_colours(value, words):
    with pytest.raises(InvalidMaskError, match=words):
        mask_from_nested(value)
