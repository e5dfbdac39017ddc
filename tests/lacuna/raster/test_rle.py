import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as coco

from lacuna.errors import InvalidMaskError
from lacuna.raster import rle

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
NOISY = npst.arrays(np.bool_, SIZES)


@st.composite
def blocky(draw):
    """Masks of long runs, whose lengths differ by much in either direction."""
    mask = np.zeros((draw(st.integers(1, 300)), draw(st.integers(1, 60))), np.bool_)
    flat = mask.reshape(-1)
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, flat.size))
        flat[start : start + draw(st.integers(0, 5000))] ^= True
    return mask


def by_coco(mask):
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


def runs_of(mask):
    """Uncompressed run lengths, by walking the columns."""
    counts, current = [0], False
    for value in mask.T.reshape(-1).tolist():
        if value != current:
            counts.append(0)
            current = value
        counts[-1] += 1
    return counts


@settings(max_examples=150, deadline=None)
@given(NOISY | blocky())
def test_masks_are_encoded_as_pycocotools_encodes_them(mask):
    expected = by_coco(mask)
    assert rle.encode(mask) == {
        "size": list(mask.shape),
        "counts": expected["counts"].decode("ascii"),
    }


@settings(max_examples=150, deadline=None)
@given(NOISY | blocky())
def test_what_pycocotools_encodes_is_decoded(mask):
    np.testing.assert_array_equal(rle.decode(by_coco(mask)), mask)


@settings(max_examples=100, deadline=None)
@given(NOISY)
def test_uncompressed_runs_are_decoded(mask):
    encoded = {"size": list(mask.shape), "counts": runs_of(mask)}
    np.testing.assert_array_equal(rle.decode(encoded), mask)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@settings(max_examples=100, deadline=None)
@given(NOISY)
def test_pycocotools_decodes_what_is_encoded(mask):
    np.testing.assert_array_equal(coco.decode(rle.encode(mask)), mask)


def test_a_mask_of_numbers_far_apart_survives():
    mask = np.zeros((3000, 3000), np.bool_)
    mask[5, 7] = mask[2000, 2900] = mask[2002, 2900] = True
    encoded = rle.encode(mask)
    assert encoded["counts"].encode() == by_coco(mask)["counts"]
    np.testing.assert_array_equal(rle.decode(encoded), mask)


def test_runs_may_be_of_no_length():
    encoded = {"size": [2, 2], "counts": [0, 1, 0, 2, 1, 0]}
    assert rle.decode(encoded).tolist() == [[True, True], [True, False]]


def test_a_tuple_for_a_size_and_text_for_bytes_do():
    assert rle.decode({"size": (1, 2), "counts": "02"}).tolist() == [[True, True]]


BAD = {
    "a list": ([], "an object with size and counts"),
    "no counts": ({"size": [2, 2]}, "an object with size and counts"),
    "no size": ({"counts": [4]}, "an object with size and counts"),
    "three sides": ({"size": [2, 2, 1], "counts": [4]}, "two integers"),
    "sides of text": ({"size": ["2", "2"], "counts": [4]}, "two integers"),
    "boolean sides": ({"size": [True, True], "counts": [1]}, "two integers"),
    "a size of text": ({"size": "22", "counts": [4]}, "two integers"),
    "a side of 0": ({"size": [0, 2], "counts": []}, "two positive integers; it is 0×2"),
    "a negative side": ({"size": [-2, -2], "counts": [4]}, "two positive integers"),
    "a huge size": ({"size": [10**9, 10**9], "counts": [10**18]}, "at most 16777216 pixels"),
    "counts of None": ({"size": [2, 2], "counts": None}, "a string or a list; they are a NoneType"),
    "no runs": ({"size": [2, 2], "counts": []}, "add up to height × width, 4; they add up to 0"),
    "too short": ({"size": [2, 2], "counts": [1, 2]}, "they add up to 3"),
    "too long": ({"size": [2, 2], "counts": [3, 2]}, "they add up to 5"),
    "negative": ({"size": [2, 2], "counts": [5, -1]}, "must not be negative; one is -1"),
    "fractions": ({"size": [2, 2], "counts": [2.0, 2]}, "must be integers"),
    "booleans": ({"size": [1, 2], "counts": [True, True]}, "must be integers"),
    "text in a list": ({"size": [2, 2], "counts": ["4"]}, "must be integers"),
    "huge": ({"size": [2, 2], "counts": [10**30]}, "no longer than the 4 pixels"),
    "no text": ({"size": [2, 2], "counts": ""}, "they add up to 0"),
    "text too short": ({"size": [2, 2], "counts": "12"}, "they add up to 3"),
    "a space": ({"size": [2, 2], "counts": "4 "}, "characters 0 to o"),
    "a letter beyond": ({"size": [2, 2], "counts": "4p"}, "characters 0 to o"),
    "a letter of another script": ({"size": [2, 2], "counts": "４"}, "characters 0 to o"),
    "half a character": ({"size": [2, 2], "counts": "\ud83d"}, "characters 0 to o"),
    "cut short": ({"size": [2, 2], "counts": "4P"}, "must be complete; it is cut short"),
    "text negative": ({"size": [2, 2], "counts": "5O"}, "no longer than the 4|not be negative"),
    "a difference below 0": ({"size": [2, 2], "counts": "111M"}, "must not be negative; one is -2"),
    "text huge": ({"size": [2, 2], "counts": "o" * 8 + "3"}, "no longer than the 4 pixels"),
    "text beyond 64 bits": ({"size": [2, 2], "counts": "o" * 40 + "0"}, "fit in fifty bits"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_mask_is_refused(case):
    encoded, words = BAD[case]
    with pytest.raises(InvalidMaskError, match=words):
        rle.decode(encoded)


def test_the_number_of_pixels_may_be_limited():
    with pytest.raises(InvalidMaskError, match="at most 3 pixels; it is 2×2"):
        rle.decode({"size": [2, 2], "counts": [4]}, max_pixels=3)


def test_nothing_of_the_masks_size_is_allocated_before_its_runs_add_up():
    tracemalloc.start()
    with pytest.raises(InvalidMaskError, match="add up"):
        rle.decode({"size": [4096, 4096], "counts": [5]})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@settings(max_examples=200, deadline=None)
@given(
    counts=st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30)
    | st.lists(st.integers(-3, 40), max_size=8),
    size=st.lists(st.integers(-1, 9), min_size=1, max_size=3),
)
def test_anything_else_is_a_mask_or_an_invalid_mask(counts, size):
    try:
        mask = rle.decode({"size": size, "counts": counts})
    except InvalidMaskError:
        return
    assert mask.shape == tuple(size)


@pytest.mark.parametrize(
    "mask",
    [
        np.kron(np.random.default_rng(0).random((64, 64)) < 0.5, np.ones((64, 64), np.bool_)),
        np.random.default_rng(0).random((1024, 1024)) < 0.5,
    ],
    ids=["4096 × 4096", "1024 × 1024 of noise"],
)
def test_large_masks_take_well_under_a_second(mask):
    start = time.process_time()
    decoded = rle.decode(rle.encode(mask))
    assert time.process_time() - start < 1.0
    np.testing.assert_array_equal(decoded, mask)


def test_text_that_no_mask_of_its_size_needs_is_refused_before_it_is_decoded():
    tracemalloc.start()
    try:
        with pytest.raises(InvalidMaskError, match="at most 50 characters; they have 1000000"):
            rle.decode({"size": [2, 2], "counts": "0" * 1_000_000})
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 1_100_000  # the text itself


def test_the_estimate_covers_a_mask_of_as_many_runs_as_pixels():
    mask = np.indices((700, 700)).sum(axis=0) % 2 == 0
    encoded = rle.encode(mask)

    tracemalloc.start()
    try:
        decoded = rle.decode(encoded)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    np.testing.assert_array_equal(decoded, mask)
    assert peak_bytes <= rle.estimate_bytes(encoded)
