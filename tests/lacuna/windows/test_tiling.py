import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import maximum_filter

from lacuna.sample import Sample, Segmentation
from lacuna.windows.tiling import Tiling, find_valid_box, plan_windows
from lacuna.windows.window import Tile, Window, crop, make_empty, paste
from tests.support import regions
from tests.support.gridded import GriddedModel, draw_mask

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40), fill=st.just(False))
STRIDES = st.integers(1, 16)
DEMO = Tiling(total_stride=8, halo=56)


def plan(mask, tiling, price, *arguments, **options):
    """Plan with a price of the height and width of what is seen, whatever is kept."""

    def price_tile(tile):
        return price(tile.input.height, tile.input.width)

    return plan_windows(mask, tiling, price_tile, *arguments, **options)


def answer_tile(model, sample, tile):
    """Return a model's answer for the output window of a tile."""
    answer = model.answer(crop(sample, tile.input))
    output = tile.output.move(-tile.input.top, -tile.input.left).slices
    return Segmentation(answer.labels[output], answer.probabilities[output])


def price_demo(height, width):
    return 0.3e-3 + 0.48e-6 * height * width


def price_all(tiles, price=price_demo):
    return sum(price(tile.input.height, tile.input.width) for tile in tiles)


def compare_to_all_valid(mask):
    """Return the price of a mask as a fraction of the price of a full one."""
    tiles = plan(mask, DEMO, price_demo)
    return price_all(tiles) / price_all(plan(np.ones_like(mask), DEMO, price_demo))


def size_of(window):
    return window.height, window.width


def contains(outer, inner):
    return (
        outer.top <= inner.top
        and outer.left <= inner.left
        and inner.top + inner.height <= outer.top + outer.height
        and inner.left + inner.width <= outer.left + outer.width
    )


# Pixels dear enough for splits to pay in images of a hundred pixels a side, by rungs or smoothly.
prices = st.builds(
    lambda call_s, rung: (
        lambda height, width: call_s + 1e-3 * (-(-height // rung)) * (-(-width // rung)) * rung**2
    ),
    st.sampled_from((0.0, 0.01, 0.5, 5.0)),
    st.sampled_from((1, 8, 20)),
)


@st.composite
def tilings(draw):
    stride, cells = draw(st.sampled_from((1, 2, 4, 5, 8))), draw(st.integers(0, 4))
    least = (stride + 2 * stride * cells) ** 2
    return Tiling(stride, stride * cells, draw(st.sampled_from((least, 4 * least, 10**6))))


masks = st.builds(
    draw_mask,
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.integers(0, 2**16),
    st.sampled_from((5, 20, 45)),
    st.sampled_from((0.0, 0.2, 0.5, 0.8, 1.0)),
)


@given(MASKS, STRIDES)
def test_the_box_holds_every_valid_pixel(mask, stride):
    box = find_valid_box(mask, stride)

    assert mask.sum() == (0 if box is None else mask[box.slices].sum())


@given(MASKS, STRIDES)
def test_the_box_starts_on_the_models_grid(mask, stride):
    box = find_valid_box(mask, stride)

    if box is not None:
        assert (box.top % stride, box.left % stride) == (0, 0)


@given(MASKS, STRIDES)
def test_the_box_is_no_larger_than_the_grid_makes_it(mask, stride):
    box = find_valid_box(mask, stride)

    if box is not None:
        rows, columns = np.nonzero(mask)
        assert rows.min() - box.top < stride
        assert columns.min() - box.left < stride
        assert (box.top + box.height, box.left + box.width) == (rows.max() + 1, columns.max() + 1)


@given(masks, tilings(), prices)
def test_every_valid_pixel_is_kept_once_and_none_twice(mask, tiling, price):
    kept = np.zeros(mask.shape, int)
    for tile in plan(mask, tiling, price):
        kept[tile.output.slices] += 1

    assert kept.max() <= 1
    assert (kept[mask] == 1).all()


@given(masks, tilings(), prices)
def test_cuts_start_on_the_grid_and_lie_inside_the_image(mask, tiling, price):
    for tile in plan(mask, tiling, price):
        assert (tile.input.top % tiling.total_stride, tile.input.left % tiling.total_stride) == (
            0,
            0,
        )
        assert contains(Window(0, 0, *mask.shape), tile.input)
        assert contains(tile.input, tile.output)


@given(masks, tilings(), prices)
def test_a_cut_holds_all_that_is_valid_within_the_halo_of_what_is_kept(mask, tiling, price):
    for tile in plan(mask, tiling, price):
        kept = np.zeros_like(mask)
        kept[tile.output.slices] = mask[tile.output.slices]
        needed = mask & maximum_filter(kept, 2 * tiling.halo + 1, mode="constant")
        needed[tile.input.slices] = False

        assert not needed.any()


@given(masks, tilings(), prices)
def test_every_part_keeps_a_valid_pixel(mask, tiling, price):
    tiles = plan(mask, tiling, price)

    assert all(mask[tile.output.slices].any() for tile in tiles)
    assert bool(tiles) == mask.any()


@given(masks, tilings(), prices)
def test_parts_together_cost_no_more_than_the_box(mask, tiling, price):
    box = find_valid_box(mask, tiling.total_stride)

    if box is not None and box.height * box.width <= tiling.max_pixels:
        whole_s = price(box.height, box.width)
        assert price_all(plan(mask, tiling, price), price) <= whole_s * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scale", [60, 100])
def test_a_search_that_leads_nowhere_leaves_the_box_whole(seed, scale):
    mask = draw_mask((512, 512), seed, scale, valid=0.4)
    box = find_valid_box(mask, 8)

    tiles = plan(mask, DEMO, price_demo)

    assert price_all(tiles) <= price_demo(*size_of(box)) * (1 + 1e-9)


@given(masks, tilings(), prices)
def test_no_cut_is_larger_than_the_tiling_allows(mask, tiling, price):
    assert all(
        tile.input.height * tile.input.width <= tiling.max_pixels
        for tile in plan(mask, tiling, price)
    )


@given(masks, st.sampled_from((1, 8)), st.integers(0, 3), prices)
def test_a_limit_that_cannot_be_kept_is_exceeded_by_no_more_than_a_cell_and_its_halo(
    mask, stride, cells, price
):
    tiling = Tiling(stride * 4, stride * 4 * cells, max_pixels=1)

    for tile in plan(mask[:40, :40], tiling, price):
        assert tile.input.height * tile.input.width <= (tiling.total_stride + 2 * tiling.halo) ** 2


@given(masks, tilings(), prices)
def test_a_plan_is_always_the_same(mask, tiling, price):
    tiles = plan(mask, tiling, price)

    assert plan(np.asfortranarray(mask), tiling, price) == tiles


@given(
    masks,
    st.sampled_from((1, 3, 4, 8)),
    st.integers(0, 2),
    st.sampled_from((1, 3, 10**6)),
    prices,
    st.integers(0, 99),
)
def test_parts_pasted_together_equal_the_whole_to_the_bit(mask, stride, reach, scale, price, seed):
    model = GriddedModel(stride, reach)
    tiling = Tiling(stride, model.halo, scale * (stride + 2 * model.halo) ** 2)
    pixels = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 1), np.uint8)
    sample = Sample(pixels, mask)

    whole = make_empty(sample.size, classes=2)
    for tile in plan(mask, tiling, price):
        paste(whole, tile.output, answer_tile(model, sample, tile))

    expected = model.answer(sample)
    assert np.array_equal(whole.labels, expected.labels)
    assert np.array_equal(whole.probabilities, expected.probabilities)


@st.composite
def kept_windows(draw):
    """Draw a mask, and a window of it."""
    mask = draw(masks)
    height, width = mask.shape
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    return mask, Window(
        top, left, draw(st.integers(1, height - top)), draw(st.integers(1, width - left))
    )


@given(
    kept_windows(),
    st.sampled_from((1, 3, 4, 8)),
    st.integers(0, 2),
    st.sampled_from((1, 3, 10**6)),
    prices,
    st.integers(0, 99),
)
def test_a_kept_window_equals_the_whole_to_the_bit_and_nothing_else_is_computed(
    drawn, stride, reach, scale, price, seed
):
    mask, keep = drawn
    model = GriddedModel(stride, reach)
    tiling = Tiling(stride, model.halo, scale * (stride + 2 * model.halo) ** 2)
    pixels = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 1), np.uint8)
    sample = Sample(pixels, mask)

    whole = make_empty(sample.size, classes=2)
    tiles = plan(mask, tiling, price, keep=keep)
    for tile in tiles:
        paste(whole, tile.output, answer_tile(model, sample, tile))

    expected, kept = make_empty(sample.size, classes=2), keep.slices
    expected.labels[kept] = model.answer(sample).labels[kept]
    expected.probabilities[kept] = model.answer(sample).probabilities[kept]
    assert np.array_equal(whole.labels, expected.labels)
    assert np.array_equal(whole.probabilities, expected.probabilities)
    assert all(contains(keep, tile.output) for tile in tiles)
    assert bool(tiles) == mask[kept].any()


@given(kept_windows(), tilings(), prices)
def test_to_keep_a_part_never_costs_more_than_the_whole(drawn, tiling, price):
    mask, keep = drawn
    box = find_valid_box(mask, tiling.total_stride)

    if box is not None and box.height * box.width <= tiling.max_pixels:
        kept_s = price_all(plan(mask, tiling, price, keep=keep), price)
        assert kept_s <= price(box.height, box.width) * (1 + 1e-9)


def test_what_is_valid_beyond_the_halo_of_a_kept_window_is_not_seen():
    mask = np.ones((1024, 1024), bool)

    tiles = plan(mask, DEMO, price_demo, keep=Window(512, 256, 128, 64))

    assert tiles == [Tile(Window(456, 200, 240, 176), Window(512, 256, 128, 64))]


@pytest.mark.parametrize("tiling", [Tiling(8, 0, 1500), Tiling(4, 8, 1500)])
def test_with_a_wrong_halo_or_grid_parts_would_not_equal_the_whole(tiling):
    model = GriddedModel(total_stride=8, reach=1)
    sample = Sample(np.ones((100, 100, 1), np.uint8), np.ones((100, 100), bool))

    whole = make_empty(sample.size, None)
    for tile in plan(sample.mask, tiling, lambda height, width: height * width):
        paste(whole, tile.output, answer_tile(model, sample, tile))

    assert not np.array_equal(whole.labels, model.answer(sample).labels)


def test_nothing_valid_needs_no_window():
    assert plan(np.zeros((5, 5), bool), DEMO, price_demo) == []


def test_a_small_valid_image_is_one_window():
    window = Window(0, 0, 37, 53)

    assert plan(np.ones((37, 53), bool), DEMO, price_demo) == [Tile(window, window)]


def count_prices(mask, price):
    """Count the prices that are computed while planning, which dominate its time."""
    asked = []
    plan(mask, Tiling(8, 56, 10**7), lambda *size: (asked.append(size), price(*size))[1])
    return len(asked)


def test_an_image_that_the_halo_spans_is_planned_at_once():
    assert count_prices(draw_mask((64, 64), 0, 8, 0.3), price_demo) <= 3


def test_an_image_with_few_missing_pixels_is_planned_at_once():
    assert count_prices(np.random.default_rng(0).random((512, 512)) < 0.97, price_demo) <= 3


def test_planning_takes_a_small_part_of_the_time_that_it_plans_for():
    islands = draw_mask((2048, 2048), 0, 128, 0.3)

    def price_quick(height, width):
        return 1e-5 + 2.5e-9 * height * width

    assert count_prices(islands, price_demo) > 200
    assert count_prices(islands, price_quick) < 50


def test_empty_margins_are_cut_off():
    mask = np.zeros((300, 300), bool)
    mask[100:150, 203:260] = True

    window = Window(96, 200, 54, 60)
    assert plan(mask, DEMO, price_demo) == [Tile(window, window)]


def test_islands_beyond_each_others_halo_are_computed_apart():
    mask = np.zeros((600, 600), bool)
    mask[:40, :40] = mask[500:540, 520:] = True

    islands = Window(0, 0, 40, 40), Window(496, 520, 44, 80)
    assert plan(mask, DEMO, price_demo) == [Tile(island, island) for island in islands]


def test_a_gap_narrower_than_the_halo_is_not_worth_a_window():
    mask = np.ones((400, 400), bool)
    mask[:, 180:228] = False

    assert len(plan(mask, DEMO, price_demo)) == 1


def test_dear_calls_are_not_made_for_little():
    mask = np.zeros((600, 600), bool)
    mask[:40, :40] = mask[500:540, 520:] = True

    assert len(plan(mask, DEMO, lambda height, width: 1 + 1e-6 * height * width)) == 1


@pytest.mark.parametrize("region", [regions.left_columns, regions.centred_square])
@pytest.mark.parametrize("valid", [0.5, 0.25, 0.1])
def test_cost_follows_valid_pixels_in_columns_and_squares(region, valid):
    assert compare_to_all_valid(region(2048, valid)) < 1.02 * valid


@pytest.mark.parametrize("region", [regions.disc, regions.slanted_half])
@pytest.mark.parametrize("valid", [0.5, 0.25, 0.1])
def test_cost_follows_valid_pixels_in_rounder_regions(region, valid):
    assert compare_to_all_valid(region(2048, valid)) < 1.25 * valid + 0.03


@pytest.mark.parametrize("valid", [0.5, 0.25, 0.1])
def test_a_swath_costs_more_for_its_borders(valid):
    # Both borders of each window that follows the diagonal have a halo, and corners beyond it.
    assert compare_to_all_valid(regions.diagonal_swath(2048, valid)) < 0.92 * valid + 0.27


@pytest.mark.parametrize(
    ("region", "most"),
    [(regions.left_columns, 1 / 2.4), (regions.disc, 0.53), (regions.slanted_half, 0.70)],
)
def test_a_small_image_that_is_mostly_empty_is_much_cheaper(region, most):
    assert compare_to_all_valid(region(512, 0.4)) < most


def price_kept(tile):
    """Price a tile of the demo, of which only what is kept costs in full."""
    kept = tile.output.height * tile.output.width
    return 0.3e-3 + 0.48e-6 * kept + 0.18e-6 * (tile.input.height * tile.input.width - kept)


def compare_kept_to_all_valid(mask):
    """Return the price of a mask as a fraction of that of a full one, both if halos are cheap."""
    seconds = sum(price_kept(tile) for tile in plan_windows(mask, DEMO, price_kept))
    return seconds / (0.48e-6 * mask.size)


@pytest.mark.parametrize(
    ("region", "side", "most"),
    [
        (regions.slanted_half, 512, 0.62),
        (regions.diagonal_swath, 512, 0.84),
        (regions.slanted_half, 2048, 0.52),
        (regions.diagonal_swath, 2048, 0.60),
        (regions.disc, 2048, 0.55),
    ],
)
def test_tilted_regions_are_followed_more_closely_if_halos_are_cheap(region, side, most):
    assert compare_kept_to_all_valid(region(side, 0.4)) < most


@given(masks, tilings(), st.sampled_from((0.0, 0.01, 0.5)), st.floats(0, 1))
def test_parts_cost_no_more_than_the_box_whatever_halos_cost(mask, tiling, call_s, share):
    def price(tile):
        kept = tile.output.height * tile.output.width
        return call_s + 1e-3 * (kept + share * (tile.input.height * tile.input.width - kept))

    box = find_valid_box(mask, tiling.total_stride)

    if box is not None and box.height * box.width <= tiling.max_pixels:
        seconds = sum(price(tile) for tile in plan_windows(mask, tiling, price))
        assert seconds <= price(Tile(box, box)) * (1 + 1e-9)


@given(kept_windows(), tilings(), st.floats(0, 1))
def test_what_is_kept_is_all_that_is_wanted_and_no_more_whatever_halos_cost(drawn, tiling, share):
    mask, keep = drawn

    def price(tile):
        kept = tile.output.height * tile.output.width
        return 0.01 + 1e-3 * (kept + share * (tile.input.height * tile.input.width - kept))

    count = np.zeros(mask.shape, int)
    for tile in plan_windows(mask, tiling, price, keep=keep):
        count[tile.output.slices] += 1
        kept = np.zeros_like(mask)
        kept[tile.output.slices] = mask[tile.output.slices]
        needed = mask & maximum_filter(kept, 2 * tiling.halo + 1, mode="constant")
        needed[tile.input.slices] = False
        assert not needed.any()
        assert contains(tile.input, tile.output)

    assert count.max() <= 1
    wanted = np.zeros_like(mask)
    wanted[keep.slices] = mask[keep.slices]
    assert (count[wanted] == 1).all()
    count[keep.slices] = 0
    assert not count.any()


@pytest.mark.parametrize(
    ("side", "count", "overhead"), [(2048, 7, 1.2), (3000, 16, 1.24), (4096, 30, 1.265)]
)
def test_a_large_valid_image_is_tiled_evenly(side, count, overhead):
    tiles = plan(np.ones((side, side), bool), DEMO, price_demo)
    areas = [tile.input.height * tile.input.width for tile in tiles]

    assert len(tiles) == count
    assert sum(areas) < overhead * side**2
    assert max(areas) < 1.1 * min(areas)


def test_an_image_of_several_cuts_takes_smaller_ones_than_one_that_fits():
    side = int(DEMO.max_pixels**0.5)

    (alone,) = plan(np.ones((side, side), bool), DEMO, price_demo)
    several = plan(np.ones((side + 1, side + 1), bool), DEMO, price_demo)

    assert alone.input.height * alone.input.width > DEMO.split_pixels
    assert max(tile.input.height * tile.input.width for tile in several) <= DEMO.split_pixels


def test_a_very_long_image_is_tiled():
    tiles = plan(np.ones((8, 2_000_000), bool), DEMO, price_demo)
    widths = [tile.input.width for tile in tiles]

    assert len(tiles) < 25
    assert max(widths) < 1.2 * min(widths)


def test_an_image_of_very_many_cells_is_planned_as_exactly():
    model = GriddedModel(total_stride=1, reach=1)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 300_000, 1), np.uint8)
    sample = Sample(pixels, np.tile(np.arange(300_000) % 6000 < 4000, (5, 1)))
    tiling = Tiling(1, model.halo, max_pixels=12_500)

    whole = make_empty(sample.size, None)
    for tile in plan(sample.mask, tiling, price_demo):
        assert tile.input.height * tile.input.width <= 12_500
        assert tile.input.left % 2 == 0  # larger cells
        paste(whole, tile.output, answer_tile(model, sample, tile))

    assert np.array_equal(whole.labels, model.answer(sample).labels)


@pytest.mark.parametrize(("stride", "halo", "pixels"), [(0, 0, 9), (8, 8, 0)])
def test_a_tiling_of_nothing_is_refused(stride, halo, pixels):
    with pytest.raises(ValueError, match="must be at least 1"):
        Tiling(stride, halo, pixels)


@pytest.mark.parametrize("halo", [-8, 4, 57])
def test_a_halo_is_whole_cells(halo):
    with pytest.raises(ValueError, match=f"halo must be a multiple .* they are {halo} and 8"):
        Tiling(8, halo)


def test_a_cut_takes_the_windows_pixels():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)

    tile = crop(Sample(image, np.ones((4, 5), bool)), Window(1, 2, 2, 3))

    assert tile.image[:, :, 0].tolist() == [[7, 8, 9], [12, 13, 14]]


def test_an_answer_of_which_nothing_is_known_is_invalid():
    answer = make_empty((2, 3), classes=4)

    assert answer.labels.tolist() == [[255] * 3] * 2
    assert answer.labels.dtype == np.uint8
    assert answer.probabilities.shape == (2, 3, 4)
    assert answer.probabilities.dtype == np.float32
    assert not answer.probabilities.any()


def test_probabilities_are_left_out_unless_wanted():
    assert make_empty((2, 2), classes=None).probabilities is None


def test_only_a_window_is_pasted():
    whole = make_empty((4, 5), classes=1)
    answer = Segmentation(
        np.array([[5, 6, 7]], np.uint8), np.array([[5, 6, 7]], np.float32)[..., None]
    )

    paste(whole, Window(2, 2, 1, 3), answer)

    x = 255
    assert whole.labels.tolist() == [[x] * 5, [x] * 5, [x, x, 5, 6, 7], [x] * 5]
    assert whole.probabilities[2, :, 0].tolist() == [0, 0, 5, 6, 7]
    assert whole.probabilities.sum() == 18


def test_probabilities_that_nobody_wants_are_not_pasted():
    whole = make_empty((1, 2), classes=None)
    window = Window(0, 0, 1, 2)

    paste(whole, window, Segmentation(np.zeros((1, 2), np.uint8), np.ones((1, 2, 3))))

    assert whole.labels.tolist() == [[0, 0]]
    assert whole.probabilities is None


def test_an_answer_of_another_size_is_not_pasted():
    window = Window(0, 0, 2, 2)

    with pytest.raises(ValueError, match=r"size, \(2, 2\); it has \(1, 1\)"):
        paste(make_empty((2, 2), None), window, make_empty((1, 1), None))


def test_an_answer_without_probabilities_is_not_pasted_where_they_are_wanted():
    whole, window = make_empty((2, 2), classes=3), Window(0, 0, 2, 2)

    with pytest.raises(ValueError, match="it has none"):
        paste(whole, window, Segmentation(np.zeros((2, 2), np.uint8)))
    assert (whole.labels == 255).all()


@pytest.mark.parametrize(
    ("height", "width"), [(2048, 512), (512, 2048), (512, 512), (2048, 208), (1000, 1100)]
)
@pytest.mark.parametrize("workers", [2, 3])
def test_an_image_is_shared_out_between_idle_workers(height, width, workers):
    mask = np.ones((height, width), bool)

    tiles = plan(mask, DEMO, price_demo, workers)

    whole_s = price_demo(height, width)
    assert max(price_demo(*size_of(tile.input)) for tile in tiles) <= 0.75 * whole_s
    assert len(tiles) >= 2
    assert sum(tile.output.height * tile.output.width for tile in tiles) == mask.size


@pytest.mark.parametrize("side", [64, 128, 256, 384])
def test_an_image_that_would_be_mostly_halo_is_not_shared_out(side):
    whole = Window(0, 0, side, side)

    assert plan(np.ones((side, side), bool), DEMO, price_demo, 2) == [Tile(whole, whole)]


def test_windows_for_many_workers_are_no_larger_than_for_one():
    mask = np.ones((3000, 3000), bool)

    for tile in plan(mask, DEMO, price_demo, 2):
        assert tile.input.height * tile.input.width <= DEMO.max_pixels
