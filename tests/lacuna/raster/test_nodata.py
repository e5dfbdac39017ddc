import math

import numpy as np
import pytest

from lacuna.raster.nodata import equals_nodata, parse_nodata


@pytest.mark.parametrize(("nodata", "expected"), [(1, True), (0, False), (2, False)])
def test_booleans_are_compared_as_0_and_1(nodata, expected):
    assert equals_nodata(np.ones((1, 1, 1), bool), nodata).item() is expected


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_each_band_may_have_a_value_of_its_own_and_a_pixel_is_missing_where_all_match(dtype):
    values = np.array([[[0, 0, 0], [1, 1, 9], [2, 9, 2], [1, 1, 8]]], dtype)

    assert equals_nodata(values, (1, 1, 9)).tolist() == [[False, True, False, False]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, 0),
        (-9999.5, -9999.5),
        (" -9999 ", -9999),
        ("1e3", 1000.0),
        ("9007199254740993", 9007199254740993),
        ("none", "none"),
        ("None", "none"),
    ],
)
def test_a_number_or_none_is_parsed(given, expected):
    assert parse_nodata(given) == expected


@pytest.mark.parametrize("given", ["nan", "NaN", math.nan])
def test_nan_is_a_number(given):
    assert math.isnan(parse_nodata(given))


@pytest.mark.parametrize("given", ["", "zero", "1,5", True, [0], None, 10**400])
def test_everything_else_is_refused(given):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        parse_nodata(given)


def test_integers_that_float64_cannot_hold_are_told_apart():
    values = np.array([[[9007199254740992], [9007199254740993]]], np.int64)

    assert equals_nodata(values, parse_nodata("9007199254740993")).tolist() == [[False, True]]
