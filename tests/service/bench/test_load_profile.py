from itertools import islice

import numpy as np
import pytest
from scipy import stats

from service.bench.load_profile import LoadProfile, draw_arrivals


@pytest.mark.parametrize("given", [{}, {"duration_s": 1.0, "requests": 1}])
def test_either_time_or_count_ends_the_window(given):
    with pytest.raises(ValueError, match="one of duration_s and requests must be given"):
        LoadProfile(**given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"connections": 0},
        {"rate_per_s": 0.0},
        {"requests": -1},
        {"timeout_s": 0.0},
        {"warmup_s": -1.0},
    ],
)
def test_a_number_out_of_its_range_is_refused_by_name(wrong):
    (name,) = wrong

    with pytest.raises(ValueError, match=f"{name} must be"):
        LoadProfile(**({"requests": 1} | wrong))


def test_a_seed_gives_the_same_times():
    one, same, other = (list(islice(draw_arrivals(50, seed), 3000)) for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_gaps_are_exponential_at_the_rate_asked_for():
    gaps = np.diff(list(islice(draw_arrivals(50, 0), 20_000)), prepend=0)

    assert gaps.min() > 0
    assert stats.kstest(gaps, "expon", (0, 1 / 50)).pvalue > 0.01


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="rate_per_s must be more than 0"):
        next(draw_arrivals(rate, 0))
