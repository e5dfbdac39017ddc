import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from hypothesis.strategies import floats

from service.wire.json_numbers import write_flat, write_nested

LABELS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9))
FLOATS = arrays(
    np.float32, array_shapes(min_dims=3, max_dims=3, max_side=5), elements=floats(0, 1, width=32)
)


@given(LABELS)
def test_labels_are_written_as_an_encoder_writes_them(labels):
    expected = json.dumps(labels.tolist(), separators=(",", ":"))

    assert write_nested(labels).decode() == expected
    assert write_flat(labels).decode() == expected.replace("[", "").replace("]", "")


@given(FLOATS)
def test_probabilities_are_written_to_eight_decimals(values):
    nested = np.array(json.loads(write_nested(values)))
    flat = np.array(json.loads(b"[" + write_flat(values) + b"]"))

    assert nested.shape == values.shape
    assert np.abs(nested - values).max() <= 0.5e-8 + 1e-16
    assert np.array_equal(flat, nested.ravel())


def test_probabilities_are_written_in_full():
    values = np.float32([[[0, 1, 0.5]], [[1e-9, 0.1, 0.99999999]]])

    assert write_nested(values) == (
        b"[[[0.00000000,1.00000000,0.50000000]],[[0.00000000,0.10000000,1.00000000]]]"
    )


@pytest.mark.parametrize("strange", [2.0, -0.5, np.nan, np.inf])
def test_numbers_that_are_no_probabilities_are_written_exactly(strange):
    values = np.array([[[0.1, strange]]], np.float32)

    nested, flat = json.loads(write_nested(values)), json.loads(b"[" + write_flat(values) + b"]")

    assert np.array_equal(np.float32(nested), values, equal_nan=True)
    assert np.array_equal(np.float32(flat), values.ravel(), equal_nan=True)


def test_a_view_is_written_as_what_it_shows():
    whole = np.arange(20, dtype=np.uint8).reshape(4, 5)

    assert json.loads(write_nested(whole[:2, 1:3])) == [[1, 2], [6, 7]]
    assert write_flat(whole[:2, 1:3]) == b"1,2,6,7"
