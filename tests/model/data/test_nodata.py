import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.nodata import PATTERNS, PATTERNS_TO_COMPARE, draw_missing, padding, smooth_noise
from tests.support.strategies import seeds

patterns = pytest.mark.parametrize("name", PATTERNS_TO_COMPARE)
SIZE = (96, 128)


def draw_fractions(name, fraction, draws=40):
    pattern = PATTERNS_TO_COMPARE[name]
    return [pattern(np.random.default_rng(seed), SIZE, fraction).mean() for seed in range(draws)]


@pytest.mark.parametrize("fraction", [0.1, 0.35, 0.5, 0.8])
@patterns
def test_patterns_lose_about_the_fraction_asked_for(name, fraction):
    drawn = draw_fractions(name, fraction)
    assert abs(np.mean(drawn) - fraction) < 0.02
    assert np.abs(np.subtract(drawn, fraction)).max() < 0.12


@given(seed=seeds, size=st.tuples(st.integers(1, 70), st.integers(1, 70)))
@patterns
def test_a_fraction_of_zero_loses_nothing_and_of_one_everything(name, seed, size):
    pattern = PATTERNS_TO_COMPARE[name]
    for fraction in (0.0, 1.0):
        missing = pattern(np.random.default_rng(seed), size, fraction)
        assert missing.dtype == bool
        np.testing.assert_array_equal(missing, np.full(size, bool(fraction)))


@patterns
def test_a_pattern_is_the_same_for_the_same_seed_and_another_for_another(name):
    pattern = PATTERNS_TO_COMPARE[name]
    first, again, other = (pattern(np.random.default_rng(s), SIZE, 0.4) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@given(seed=seeds, fraction=st.floats(0, 1))
def test_padding_leaves_a_rectangle_at_the_top_left(seed, fraction):
    valid = ~padding(np.random.default_rng(seed), SIZE, fraction)
    height, width = valid.any(axis=1).sum(), valid.any(axis=0).sum()

    assert valid[:height, :width].all()
    assert valid.sum() == height * width


def test_padding_is_never_trained_on():
    # The shipped model, and every run that is to be trained again, would be another.
    assert list(PATTERNS) == ["clouds", "stripes", "swath", "dead_pixels"]


def test_missing_pixels_come_in_every_pattern():
    drawn = [draw_missing(np.random.default_rng(seed), SIZE, 0.4) for seed in range(40)]
    known = {name: [pattern_after_choice(name, seed) for seed in range(40)] for name in PATTERNS}
    for name in PATTERNS:
        assert any(np.array_equal(a, b) for a, b in zip(drawn, known[name], strict=True)), name


def pattern_after_choice(name, seed):
    rng = np.random.default_rng(seed)
    rng.choice(list(PATTERNS))
    return PATTERNS[name](rng, SIZE, 0.4)


@given(
    seed=seeds,
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    cell=st.floats(0.3, 60),
)
def test_smooth_noise_has_the_size_asked_for(seed, size, cell):
    assert smooth_noise(np.random.default_rng(seed), size, cell).shape == size


def test_smooth_noise_runs_smoothly_between_cells():
    noise = smooth_noise(np.random.default_rng(0), (200, 200), 40)
    assert np.abs(np.diff(noise)).max() < 0.2
    assert noise.std() > 0.3
