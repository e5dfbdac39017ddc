import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.windows.window import Window
from model.data.overview import CELL, Overview


def count_by_hand(known):
    rows, columns = (-(-side // CELL) for side in known.shape)
    return [
        [
            int(known[CELL * row : CELL * (row + 1), CELL * column : CELL * (column + 1)].sum())
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def take_stock(known, rows, columns):
    """An overview that is filled by windows of some size."""
    overview = Overview(known.shape)
    for top in range(0, known.shape[0], rows):
        for left in range(0, known.shape[1], columns):
            part = known[top : top + rows, left : left + columns]
            overview.add(Window(top, left, *part.shape), part)
    return overview


@given(st.integers(1, 200), st.integers(1, 300), st.integers(1, 220), st.integers(1, 220))
@settings(max_examples=40, deadline=None)
def test_windows_of_any_size_give_the_same_counts(height, width, rows, columns):
    known = np.random.default_rng(height).random((height, width)) < 0.3
    overview = take_stock(known, rows, columns)

    assert overview.pixels == known.sum()
    windows = overview.find_windows(CELL)
    assert [(w.top, w.left) for w in windows] == [
        (CELL * row, CELL * column)
        for row, counts in enumerate(count_by_hand(known))
        for column, count in enumerate(counts)
        if count
    ]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 400), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_crop_is_inside_and_as_large_as_it_can_be(height, width, crop, seed):
    known = np.ones((height, width), bool)
    window = take_stock(known, 100, 100).draw(np.random.default_rng(seed), crop)

    assert (window.height, window.width) == (min(crop, height), min(crop, width))
    assert window.intersect(Window(0, 0, height, width)) == window


def test_crops_fall_where_labels_are_by_their_area():
    known = np.zeros((640, 1280), bool)
    known[64:192, 64:192] = True
    known[384:512, 640:1024] = True
    overview = take_stock(known, 640, 1280)
    rng = np.random.default_rng(0)
    drawn = [overview.draw(rng, 32) for _ in range(4000)]

    right = sum(window.left > 300 for window in drawn) / len(drawn)
    assert right == pytest.approx(3 / 4, abs=0.03)
    # All pixels have their turn, but for those at the border of the labels.
    seen = np.zeros(known.shape, int)
    for window in drawn:
        seen[window.slices] += 1
    inner = seen[384 + 32 : 512 - 32, 640 + 32 : 1024 - 32]
    assert inner.min() > 0
    expected = 4000 * 32 * 32 / (4 * 128 * 128)
    assert inner.mean() == pytest.approx(expected, rel=0.1)


def test_without_labels_in_a_part_of_the_grid_its_windows_are_left_out():
    known = np.zeros((1000, 1300), bool)
    known[700, 1299] = True

    assert take_stock(known, 128, 256).find_windows(512) == [Window(512, 1024, 488, 276)]
