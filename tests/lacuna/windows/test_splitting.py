import functools
import math

import numpy as np
import pytest

from lacuna.windows.cells import Box, CellGrid
from lacuna.windows.splitting import Piece, SplitCosts, split

HALO = 1


def make_costs(call_s=0.5, cell_s=0.1, limit=10**6, halo_cell_s=None):
    """Make costs whose prices are exactly linear in the areas."""
    halo_cell_s = cell_s if halo_cell_s is None else halo_cell_s

    def price(piece):
        seen, kept = count_cells(piece.input), count_cells(piece.output)
        return call_s + kept * cell_s + (seen - kept) * halo_cell_s if seen <= limit else math.inf

    return SplitCosts(price, call_s, cell_s, halo_cell_s, limit, HALO)


def count_cells(box):
    return (box.bottom - box.top) * (box.right - box.left)


def price_all(pieces, costs):
    return sum(costs.price(piece) for piece in pieces)


def draw_blobs(seed):
    """Draw up to five rectangles of 13 × 13 cells, cropped to them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:13, :13]
    valid = np.zeros((13, 13), bool)
    for _ in range(rng.integers(2, 6)):
        top, left, height, width = rng.integers(0, 13, 4)
        valid |= (abs(y - top) <= height / 4) & (abs(x - left) <= width / 4)
    rows, columns = np.nonzero(valid)
    return valid[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def find_input(valid, output):
    """Return the box of all cells that are valid and within the halo of a valid output cell."""
    needed = np.zeros_like(valid)
    for row, column in np.argwhere(valid[output.top : output.bottom, output.left : output.right]):
        top, left = output.top + row - HALO, output.left + column - HALO
        around = (
            slice(max(0, top), top + 2 * HALO + 1),
            slice(max(0, left), left + 2 * HALO + 1),
        )
        needed[around] |= valid[around]
    if not needed.any():
        return None
    rows, columns = np.nonzero(needed)
    return Box(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)


def find_output(valid, output):
    """Return the box of the valid cells of a box that has some."""
    rows, columns = np.nonzero(valid[output.top : output.bottom, output.left : output.right])
    top, left = output.top, output.left
    return Box(
        top + rows.min(), left + columns.min(), top + rows.max() + 1, left + columns.max() + 1
    )


def make_piece(valid, output):
    """Return the piece of a box that has valid cells."""
    return Piece(find_output(valid, output), find_input(valid, output))


def find_best_price(valid, costs):
    """Return the least price of all splits by straight lines from edge to edge."""

    @functools.cache
    def best(box):
        if find_input(valid, box) is None:
            return 0
        top, left, bottom, right = box
        return min(
            costs.price(make_piece(valid, box)),
            *(
                best(Box(top, left, row, right)) + best(Box(row, left, bottom, right))
                for row in range(top + 1, bottom)
            ),
            *(
                best(Box(top, left, bottom, column)) + best(Box(top, column, bottom, right))
                for column in range(left + 1, right)
            ),
            math.inf,
        )

    return best(Box(0, 0, *valid.shape))


@pytest.mark.parametrize("halo_cell_s", [0.1, 0.03, 0.001])
def test_prices_are_close_to_the_best_that_lines_can_do(halo_cell_s):
    costs = make_costs(halo_cell_s=halo_cell_s)
    masks = [draw_blobs(seed) for seed in range(12)]
    pieces = [split(CellGrid(valid, HALO), costs) for valid in masks]

    ratios = [
        price_all(found, costs) / find_best_price(valid, costs)
        for valid, found in zip(masks, pieces, strict=True)
    ]

    assert np.mean(ratios) < 1.03
    assert max(ratios) < 1.2
    assert np.mean([len(found) > 1 for found in pieces]) > 0.5


def test_a_cut_is_the_box_of_all_that_is_valid_within_the_halo():
    for seed in range(20):
        valid = draw_blobs(seed)
        for piece in split(CellGrid(valid, HALO), make_costs()):
            assert piece == make_piece(valid, piece.output)


def test_an_empty_band_is_left_out():
    valid = np.ones((4, 20), bool)
    valid[:, 6:15] = False

    pieces = split(CellGrid(valid, HALO), make_costs())

    assert sorted(piece.input for piece in pieces) == [Box(0, 0, 4, 6), Box(0, 15, 4, 20)]


def test_a_hole_is_left_out_though_no_single_line_pays():
    valid = np.ones((60, 60), bool)
    valid[10:50, 10:50] = False
    costs = make_costs()

    pieces = split(CellGrid(valid, HALO), costs)

    assert price_all(pieces, costs) < 0.75 * (costs.call_s + costs.cell_s * 3600)
    for row in range(1, 60):
        upper, lower = Box(0, 0, row, 60), Box(row, 0, 60, 60)
        assert sum(costs.price(make_piece(valid, output)) for output in (upper, lower)) > 360.5


def test_what_is_too_small_to_be_worth_a_call_is_not_left_out():
    valid = np.ones((4, 20), bool)
    valid[:, 6:15] = False

    pieces = split(CellGrid(valid, HALO), make_costs(call_s=4))

    assert [piece.input for piece in pieces] == [Box(0, 0, 4, 20)]


def test_nothing_is_searched_for_that_takes_less_time_than_the_search():
    valid = np.ones((4, 20), bool)
    valid[:, 6:15] = False

    pieces = split(CellGrid(valid, HALO), make_costs(call_s=5e-7, cell_s=1e-7))

    assert len(pieces) == 1


@pytest.mark.parametrize(
    ("size", "limit", "sizes"),
    [((40, 40), 484, {(21, 21)}), ((10, 64), 240, {(10, 22), (10, 23)}), ((9, 9), 81, {(9, 9)})],
)
def test_what_is_too_large_and_full_is_split_evenly(size, limit, sizes):
    pieces = split(CellGrid(np.ones(size, bool), HALO), make_costs(limit=limit))

    found = {(cut.bottom - cut.top, cut.right - cut.left) for _, cut in pieces}
    assert found == sizes


def test_the_smallest_limit_that_can_be_kept_is_kept():
    pieces = split(CellGrid(np.ones((5, 7), bool), HALO), make_costs(limit=9))

    assert max((cut.bottom - cut.top) * (cut.right - cut.left) for _, cut in pieces) == 9


def test_slice_after_slice_may_be_cut_off():
    # Islands with ever wider gaps: the last gap is always the best to split at.
    places = np.cumsum(np.arange(400) + 3)
    valid = np.zeros((1, places[-1] + 1), bool)
    valid[0, places] = True
    valid = valid[:, places[0] :]

    pieces = split(CellGrid(valid, HALO), make_costs(call_s=0.01))

    assert len(pieces) == 400
