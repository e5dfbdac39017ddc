import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.windows.window import Window
from service.core.cutting import Cut, cut_image


@st.composite
def cuts(draw):
    grid = draw(st.integers(1, 5))
    sides = [grid * draw(st.integers(2, 12)) for _ in range(2)]
    overlap = grid * draw(st.integers(0, min(sides) // grid - 1))
    return Cut((sides[0], sides[1]), overlap, grid)


@given(st.tuples(st.integers(1, 90), st.integers(1, 90)), cuts())
def test_every_pixel_is_kept_once_by_a_tile_that_sees_half_the_overlap_around_it(size, cut):
    kept = np.zeros(size, int)
    for seen, output in cut_image(size, cut):
        kept[output.slices] += 1
        assert output.intersect(seen) == output
        for axis in (0, 1):
            first, last = seen[axis], seen[axis] + seen[axis + 2]
            assert first % cut.grid == 0
            assert last - first <= cut.size[axis]
            assert first == 0 or output[axis] - first >= cut.overlap // 2
            assert last == size[axis] or last - output[axis] - output[axis + 2] >= cut.overlap // 2
    assert (kept == 1).all()


@given(st.tuples(st.integers(9, 90), st.integers(7, 90)))
def test_without_a_grid_every_tile_of_a_larger_image_has_the_one_size(size):
    assert {seen[2:] for seen, _ in cut_image(size, Cut((9, 7), 2))} == {(9, 7)}


def test_an_image_that_is_no_larger_than_a_tile_is_one():
    assert cut_image((5, 7), Cut((9, 7), 2)) == [(Window(0, 0, 5, 7), Window(0, 0, 5, 7))]


@pytest.mark.parametrize("keep", [Window(3, 4, 10, 2), Window(0, 0, 1, 1), Window(19, 19, 1, 1)])
def test_only_tiles_that_keep_something_of_a_window_are_cut(keep):
    tiles = cut_image((20, 20), Cut((8, 8), 2), keep)

    assert sum(output.height * output.width for _, output in tiles) == keep.height * keep.width
    assert all(output.intersect(keep) == output for _, output in tiles)
