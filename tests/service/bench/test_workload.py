import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from service.bench.workload import (
    REGIONS,
    Sizes,
    Workload,
    draw_mask,
    draw_samples,
    parse_sizes,
)

CONTIGUOUS = ("side", "left", "slant")
SIZE = st.tuples(st.integers(1, 40), st.integers(1, 40))


def count_pieces(mask):
    return ndimage.label(mask, np.ones((3, 3)))[1]


def test_a_workload_is_the_same_pixels_every_time():
    workload = Workload(6, (parse_sizes("8-40"),), (0.3, 1.0), ("slant", "swath"), seed=7)

    for first, second in zip(draw_samples(workload), draw_samples(workload), strict=True):
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.mask, second.mask)


def test_more_images_change_none_of_the_first():
    few, many = (draw_samples(Workload(count, (parse_sizes("8-40"),))) for count in (2, 5))

    for first, second in zip(few, many[:2], strict=True):
        assert np.array_equal(first.image, second.image)


def test_another_seed_is_another_workload():
    one, other = (
        draw_samples(Workload(1, (parse_sizes("32"),), seed=seed))[0].image for seed in (0, 1)
    )

    assert not np.array_equal(one, other)


@pytest.mark.parametrize("region", REGIONS)
@given(size=SIZE, valid=st.floats(0, 1), seed=st.integers(0, 99))
def test_the_fraction_asked_for_is_kept_to_the_pixel(region, size, valid, seed):
    mask = draw_mask(np.random.default_rng(seed), size, valid, region)

    assert mask.shape == size
    assert mask.sum() == round(valid * size[0] * size[1])


@pytest.mark.parametrize("region", CONTIGUOUS)
@given(size=SIZE, valid=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_missing_and_valid_pixels_are_one_piece_each(region, size, valid, seed):
    mask = draw_mask(np.random.default_rng(seed), size, valid, region)

    assert count_pieces(mask) <= 1
    assert count_pieces(~mask) <= 1


def test_a_hole_in_the_centre_is_one_piece_that_touches_no_side():
    mask = draw_mask(np.random.default_rng(0), (60, 90), 0.6, "centre")

    assert count_pieces(~mask) == 1
    assert mask[[0, -1]].all()
    assert mask[:, [0, -1]].all()


@given(size=st.tuples(st.integers(9, 40), st.integers(9, 40)), seed=st.integers(0, 99))
def test_a_swath_is_one_piece_with_missing_pixels_on_both_sides(size, seed):
    mask = draw_mask(np.random.default_rng(seed), size, 0.2, "swath")

    assert count_pieces(mask) == 1
    assert ndimage.label(~mask)[1] >= 2


def test_regions_take_turns():
    workload = Workload(4, (parse_sizes("40"),), (0.7,), ("centre", "scattered"))

    pieces = [count_pieces(~sample.mask) for sample in draw_samples(workload)]
    assert pieces[0::2] == [1, 1]
    assert min(pieces[1::2]) > 1


def test_scattered_pixels_are_many_pieces():
    assert count_pieces(~draw_mask(np.random.default_rng(0), (60, 90), 0.9, "scattered")) > 50


def test_every_side_has_its_turn():
    masks = [draw_mask(np.random.default_rng(seed), (20, 20), 0.5, "side") for seed in range(40)]

    middles = {(mask[0, 9], mask[19, 9], mask[9, 0], mask[9, 19]) for mask in masks}
    assert len(middles) == 4


def test_sides_are_drawn_log_uniformly_with_both_ends():
    sizes, rng = Sizes((48, 48), (384, 384)), np.random.default_rng(0)
    sides = np.array([sizes.draw(rng) for _ in range(4000)]).ravel()

    assert sides.min() == 48
    assert sides.max() == 384
    # Half of them lie below the geometric mean.
    assert np.mean(sides < np.sqrt(48 * 384)) == pytest.approx(0.5, abs=0.03)


def test_every_size_comes_with_every_fraction():
    workload = Workload(4, (parse_sizes("8"), parse_sizes("10x20")), (1.0, 0.5))

    assert [(sample.size, sample.mask.mean()) for sample in draw_samples(workload)] == [
        ((8, 8), 1.0),
        ((10, 20), 1.0),
        ((8, 8), 0.5),
        ((10, 20), 0.5),
    ]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("512", (512, 512), (512, 512)),
        ("480x640", (480, 640), (480, 640)),
        ("48-384", (48, 48), (384, 384)),
    ],
)
def test_sizes_are_read_as_people_write_them(text, low, high):
    assert parse_sizes(text) == Sizes(low, high)


@pytest.mark.parametrize("text", ["", "0", "a", "9-8", "1x2x3", "-5", "123456"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="size"):
        parse_sizes(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": 0},
        {"channels": 0},
        {"sizes": ()},
        {"valid": (1.1,)},
        {"regions": ("top",)},
        {"regions": ()},
    ],
)
def test_a_workload_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        Workload(**({"images": 1, "sizes": (parse_sizes("8"),)} | wrong))
