"""Filling by reflection, on examples by hand; the conformance harness has its formula."""

import numpy as np
import pytest

from model.layers import FillByReflection

_ = None


def fill(rows, levels):
    """Fill an image of one channel, in which None is missing, and give its values."""
    valid = np.array([[value is not None for value in row] for row in rows])
    image = np.array([[np.nan if value is None else value for value in row] for row in rows])
    inputs = image[None, ..., None].astype(np.float32), valid[None, ..., None]
    (y,), (mask,) = FillByReflection(levels)(inputs)
    values, channel = np.moveaxis(np.asarray(y), 2, 0)
    given = np.zeros_like(channel, bool)
    given[: valid.shape[0], : valid.shape[1]] = valid
    there = np.asarray(mask)[..., 0]
    np.testing.assert_array_equal(channel, there & ~given)
    return np.where(there, values.astype(object), None).tolist()


@pytest.mark.parametrize(
    ("levels", "row", "expected"),
    [
        (1, [1, _, 3, 4], [1, 1, 3, 4]),
        (1, [_, 2, _, _], [2, 2, _, _]),
        (2, [1, 2, _, _], [1, 2, 2, 1]),
        (2, [1, _, _, _], [1, 1, 1, 1]),
        (2, [_, _, _, 4, 5, _, _, _], [4, 4, 4, 4, 5, 5, 5, 5]),
        (3, [1, 2, 3, 4, _, _, _, _], [1, 2, 3, 4, 4, 3, 2, 1]),
        (3, [1, 2, 3, 4, 5, _, _, _], [1, 2, 3, 4, 5, 5, 5, 5]),
        # The rest of the last cell, beyond the border, is filled too.
        (2, [1, 2, 3], [1, 2, 3, 3]),
    ],
)
def test_a_row_goes_on_as_in_a_mirror(levels, row, expected):
    assert fill([row] * 2**levels, levels) == [expected] * 2**levels
    columns = np.array(fill([[value] * 2**levels for value in row], levels), object)
    assert columns.T.tolist() == [expected] * 2**levels


def test_left_and_right_come_before_above_and_below():
    assert fill([[1, _], [3, _]], 1) == [[1, 1], [3, 3]]
    assert fill([[1, 2], [_, _]], 1) == [[1, 2], [1, 2]]
    assert fill([[_, 2], [3, _]], 1) == [[2, 2], [3, 3]]


def test_a_smaller_cell_comes_first():
    assert fill([[1, _, 7, 8]], 2)[0] == [1, 1, 7, 8]
    assert fill([[_, _, 7, 8], [5, _, 9, 9]], 2)[:2] == [[5, 5, 7, 8], [5, 5, 9, 9]]


def test_nothing_leaves_its_cell():
    row = [9, _, _, _, _, _, _, _, _, 1]

    assert fill([row], 2)[0] == [9, 9, 9, 9, _, _, _, _, 1, 1, 1, 1]


def test_a_complete_image_stays_as_it_is():
    rows = np.arange(64.0).reshape(8, 8).tolist()

    assert fill(rows, 3) == rows
