import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from lacuna.windows.tiling import Tiling, plan_windows
from lacuna.windows.window import Tile, Window
from service.core.buckets import Ladder
from service.core.placement import Canvas, measure_kept, place_kept, place_whole
from tests.support.gridded import draw_mask

DEMO = Ladder(8)
HALO = 56


def place(seen, output):
    return place_kept(Tile(Window(*seen), Window(*output)), DEMO, HALO)


def test_a_tile_that_is_computed_whole_stands_in_the_corner():
    placement = place_whole(Tile(Window(8, 16, 20, 30), Window(10, 16, 5, 7)), (24, 32))

    assert placement.canvas == Canvas((24, 32))
    assert (placement.seen, placement.corner) == (Window(8, 16, 20, 30), (0, 0))
    assert placement.answer == Window(2, 0, 5, 7)


def test_what_is_kept_in_the_middle_has_a_halo_on_every_side():
    placement = place((200, 400, 368, 240), (256, 456, 256, 128))

    assert placement.canvas == Canvas((368, 240), Window(56, 56, 256, 128))
    assert placement.corner == (0, 0)
    assert placement.answer == Window(0, 0, 256, 128)
    assert (placement.canvas.pixels, placement.canvas.kept_pixels) == (368 * 240, 256 * 128)


@pytest.mark.parametrize(
    ("seen", "size", "keep"),
    [
        ((0, 0, 312, 312), (312, 312), (0, 0, 256, 256)),
        ((0, 0, 312, 368), (312, 368), (0, 56, 256, 256)),
        ((0, 0, 368, 256), (368, 256), (56, 0, 256, 256)),
    ],
)
def test_there_is_no_halo_where_nothing_is_seen_beyond(seen, size, keep):
    top, left = keep[:2]

    assert place(seen, (top, left, 256, 256)).canvas == Canvas(size, Window(*keep))


def test_less_than_a_halo_is_placed_as_far_from_what_is_kept():
    placement = place((24, 0, 96, 64), (40, 8, 64, 56))

    assert placement.canvas == Canvas((176, 112), Window(56, 56, 64, 56))
    assert placement.corner == (40, 48)


def test_what_is_seen_beyond_needs_no_halo_if_the_ladder_adds_as_much():
    placement = place((0, 0, 208, 64), (0, 0, 200, 64))

    assert placement.canvas == Canvas((224, 64), Window(0, 0, 224, 64))


def test_no_more_is_seen_than_the_halo_of_what_is_kept():
    placement = place((0, 0, 400, 64), (100, 0, 100, 64))

    assert placement.seen == Window(40, 0, 216, 64)
    assert placement.answer == Window(4, 0, 100, 64)


@given(
    st.builds(
        draw_mask,
        st.tuples(st.integers(1, 120), st.integers(1, 120)),
        st.integers(0, 2**16),
        st.sampled_from((5, 20, 45)),
        st.sampled_from((0.2, 0.5, 0.8, 1.0)),
    ),
    st.sampled_from((1, 2, 4, 8)),
    st.integers(0, 4),
    st.sampled_from((1, 4, 10**6)),
    st.floats(0.01, 1),
    st.data(),
)
def test_a_canvas_holds_what_the_output_depends_on_where_the_model_looks_for_it(
    mask, stride, cells, scale, halo_s, data
):
    halo, (height, width) = stride * cells, mask.shape
    tiling = Tiling(stride, halo, scale * (stride + 2 * halo) ** 2)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    keep = Window(top, left, height - top, width - left) if data.draw(st.booleans()) else None
    ladder = Ladder(stride)

    def price(tile):
        canvas = place_kept(tile, ladder, halo).canvas
        return 0.01 + canvas.kept_pixels + halo_s * (canvas.pixels - canvas.kept_pixels)

    for tile in plan_windows(mask, tiling, price, keep=keep):
        canvas, seen, (row, column), answer = place_kept(tile, ladder, halo)
        (rows, columns), kept = canvas.size, canvas.keep
        others = canvas.pixels - canvas.kept_pixels
        assert measure_kept(tile, ladder, halo) == (canvas.kept_pixels, others)
        # The canvas is one of few.
        assert {kept.top, kept.left} <= {0, halo}
        assert {rows - kept.top - kept.height, columns - kept.left - kept.width} <= {0, halo}
        assert ladder.choose_bucket((kept.height, kept.width)) == (kept.height, kept.width)
        # What is seen fits, on the grid, and has all valid pixels within the halo of the output.
        assert row >= 0
        assert column >= 0
        assert row + seen.height <= rows
        assert column + seen.width <= columns
        assert (seen.top - row) % stride == (seen.left - column) % stride == 0
        wanted = np.zeros_like(mask)
        wanted[tile.output.slices] = mask[tile.output.slices]
        needed = mask & maximum_filter(wanted, 2 * halo + 1, mode="constant")
        needed[seen.slices] = False
        assert not needed.any()
        # The answer is where the output stands on the canvas.
        assert answer.top == tile.output.top - seen.top + row - kept.top
        assert answer.left == tile.output.left - seen.left + column - kept.left
        assert answer[2:] == tile.output[2:]
        assert 0 <= answer.top <= kept.height - answer.height
        assert 0 <= answer.left <= kept.width - answer.width
