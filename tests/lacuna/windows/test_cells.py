import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lacuna.windows.cells import Box, CellGrid, find_valid_cells

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=30), fill=st.just(False))
HALOS = st.integers(0, 8)


def windows_of(shape, side):
    """Yield the slices of each square of a side that touches a grid, also beyond its edge."""
    for top in range(1 - side, shape[0]):
        for left in range(1 - side, shape[1]):
            yield slice(max(0, top), top + side), slice(max(0, left), left + side)


@given(MASKS, st.integers(1, 12))
def test_a_cell_is_valid_if_one_of_its_pixels_is(mask, side):
    expected = {(row // side, column // side) for row, column in np.argwhere(mask).tolist()}

    cells = find_valid_cells(mask, side)

    assert cells.shape == (-(-mask.shape[0] // side), -(-mask.shape[1] // side))
    assert set(map(tuple, np.argwhere(cells).tolist())) == expected


@given(MASKS, HALOS)
def test_a_cell_is_bounded_by_itself_and_needs_the_box_of_all_that_is_valid_within_the_halo(
    valid, halo
):
    bounds = CellGrid(valid, halo).bounds

    for row, column in np.argwhere(valid).tolist():
        rows, columns = np.nonzero(
            valid[max(0, row - halo) : row + halo + 1, max(0, column - halo) : column + halo + 1]
        )
        top, left = max(0, row - halo), max(0, column - halo)
        assert bounds[:, row, column].tolist() == [
            *(row, column, -(row + 1), -(column + 1)),
            top + rows.min(),
            left + columns.min(),
            -(top + rows.max() + 1),
            -(left + columns.max() + 1),
        ]


@given(MASKS, HALOS)
def test_what_is_not_valid_needs_nothing(valid, halo):
    bounds = CellGrid(valid, halo).bounds

    assert (bounds[:, ~valid] > max(valid.shape)).all()


def test_needs_of_a_large_mask_do_not_overflow():
    valid = np.zeros((2, 40_000), bool)
    valid[1, [0, -1]] = True

    bounds = CellGrid(valid, 3).bounds

    assert bounds[4:, 1, -1].tolist() == [1, 39_999, -2, -40_000]
    assert bounds[4:, 1, 0].tolist() == [1, 0, -2, -1]
    assert (bounds[:, 0] > 40_000).all()


@given(MASKS, HALOS)
def test_what_an_empty_square_of_the_halos_side_reaches_is_not_full(valid, halo):
    full = np.ones(valid.shape, bool)
    for square in windows_of(valid.shape, max(halo, 1)):
        if not valid[square].any():
            full[square] = False

    cells = CellGrid(valid, halo)

    for (row, column), expected in np.ndenumerate(full):
        assert cells.count_required(row, column, row + 1, column + 1) == expected
    assert cells.count_required(*cells.whole) == full.sum()


def test_cells_are_counted_in_tall_masks_too():
    valid = np.arange(1000)[:, None] % np.array([2, 3, 5]) == 0

    cells = CellGrid(valid, 0)

    assert cells.count_required(0, 0, 1000, 3) == 500 + 334 + 200
    assert cells.count_required(500, 1, 1000, 2) == 167


def test_many_boxes_are_counted_at_once():
    cells = CellGrid(np.eye(5, dtype=bool), 0)

    counts = cells.count_required(*np.array([[0, 0, 5, 5], [1, 2, 4, 5]]).T)

    assert counts.tolist() == [5, 2]


def test_two_boxes_meet_in_what_both_hold():
    assert Box(0, 1, 5, 6).intersect(Box(2, 0, 7, 4)) == Box(2, 1, 5, 4)
