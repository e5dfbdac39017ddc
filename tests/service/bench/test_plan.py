import pytest

from service.bench.plan import Plan


@pytest.mark.parametrize("given", [{}, {"duration_s": 1.0, "requests": 1}])
def test_either_time_or_count_ends_the_window(given):
    with pytest.raises(ValueError, match="one of duration_s and requests must be given"):
        Plan(**given)


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
        Plan(**({"requests": 1} | wrong))
