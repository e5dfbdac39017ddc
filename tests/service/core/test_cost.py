import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import nnls

from service.core.cost import BatchCost

PIXELS = [64, 64, 1024, 1024, 16_384, 16_384, 262_144, 262_144]


def measure(call_s, pixel_s, pixels=PIXELS):
    return [(count, call_s + pixel_s * count) for count in pixels]


def measure_misfit(coefficients, measurements):
    pixels, seconds = np.array(measurements).T
    return (((coefficients[0] + coefficients[1] * pixels) / seconds - 1) ** 2).sum()


def solve(measurements):
    pixels, seconds = np.array(measurements).T
    scale = pixels.max()
    matrix = np.stack([1 / seconds, pixels / scale / seconds], axis=1)
    call_s, slope = nnls(matrix, np.ones(len(seconds)))[0]
    return call_s, slope / scale


def test_a_call_costs_its_overhead_and_its_pixels():
    cost = BatchCost(call_s=0.5, pixel_s=0.25)

    assert cost.predict(10) == 3.0
    assert cost.call_pixels == 2.0


def test_pixels_that_are_only_seen_have_a_price_of_their_own():
    assert BatchCost(call_s=0.5, pixel_s=0.25, halo_s=0.125).predict(10, 4) == 3.5


def test_without_one_they_cost_as_much_as_others():
    assert BatchCost(call_s=0.5, pixel_s=0.25).predict(10, 4) == 4.0


@given(st.floats(1e-6, 1), st.floats(1e-10, 1e-4), st.floats(0.01, 1))
def test_exact_measurements_give_the_price_of_the_halo_back(call_s, pixel_s, share):
    cost = BatchCost(call_s, pixel_s)
    exact = BatchCost(call_s, pixel_s, share * pixel_s)
    calls = [(1000, 3000), (50_000, 60_000), (10**6, 10**5)]

    fitted = cost.fit_halo([(*pixels, exact.predict(*pixels)) for pixels in calls])

    assert (fitted.call_s, fitted.pixel_s) == (call_s, pixel_s)
    for pixels in calls:
        assert fitted.predict(*pixels) == pytest.approx(exact.predict(*pixels), rel=1e-6)


def test_a_halo_whose_measurement_was_interrupted_is_outvoted():
    measurements = [(1000, 1000, 1.5), (1000, 1000, 1.5), (1000, 1000, 9)]

    assert BatchCost(0, 1e-3).fit_halo(measurements).halo_s == pytest.approx(5e-4)


@pytest.mark.parametrize(("seconds", "least", "most"), [(9, 1e-3, 1e-3), (0.1, 1e-15, 1e-12)])
def test_what_is_only_seen_costs_something_and_no_more_than_what_is_kept(seconds, least, most):
    halo_s = BatchCost(0, 1e-3).fit_halo([(1000, 1000, seconds)]).halo_s

    assert least <= halo_s <= most


def test_without_measurements_of_halos_a_cost_stays_as_it_is():
    assert BatchCost(1, 2).fit_halo([]) == BatchCost(1, 2)


@given(st.floats(1e-6, 1), st.floats(1e-10, 1e-4))
def test_exact_measurements_of_strips_give_their_cost_back(call_s, pixel_s):
    cost = BatchCost(1, 2, 0.5).fit_strips(measure(call_s, pixel_s))

    assert (cost.call_s, cost.pixel_s, cost.halo_s) == (1, 2, 0.5)
    for pixels in PIXELS:
        assert cost.predict_strips(pixels) == pytest.approx(call_s + pixel_s * pixels, rel=1e-9)


def test_without_measurements_of_strips_there_are_none():
    assert BatchCost(1, 2).fit_strips([]) == BatchCost(1, 2)
    assert BatchCost(1, 2).predict_strips(1) == math.inf


@pytest.mark.parametrize("strips_s", [(-1, 1), (1, 0), (math.nan, 1)])
def test_a_price_of_strips_must_be_possible(strips_s):
    with pytest.raises(ValueError, match="call_s must be at least 0 and pixel_s more"):
        BatchCost(1, 1, strips_s=strips_s)


@pytest.mark.parametrize("halo_s", [0, -1, math.inf, math.nan])
def test_a_price_of_the_halo_must_be_possible(halo_s):
    with pytest.raises(ValueError, match="halo_s must be more than 0 and finite"):
        BatchCost(1, 1, halo_s)


@given(st.floats(1e-6, 1), st.floats(1e-10, 1e-4))
def test_exact_measurements_give_the_cost_back(call_s, pixel_s):
    cost = BatchCost.fit(measure(call_s, pixel_s))

    for pixels in PIXELS:
        assert cost.predict(pixels) == pytest.approx(call_s + pixel_s * pixels, rel=1e-9)


@given(
    st.floats(0, 0.1),
    st.floats(1e-9, 1e-5),
    st.lists(st.tuples(st.integers(1, 10**6), st.floats(0.9, 1.1)), min_size=2, max_size=12),
)
def test_noisy_measurements_are_fitted_as_well_as_by_an_independent_solver(call_s, pixel_s, noisy):
    measurements = [(pixels, (call_s + pixel_s * pixels) * noise) for pixels, noise in noisy]
    assume(len({pixels for pixels, _ in measurements}) > 1)

    cost = BatchCost.fit(measurements)

    best = measure_misfit(solve(measurements), measurements)
    # A little worse only where the solver lets pixels cost nothing.
    assert measure_misfit((cost.call_s, cost.pixel_s), measurements) <= best * 1.001 + 1e-9


def test_a_call_never_costs_less_than_nothing():
    measurements = [(100, 1.0), (200, 3.0), (400, 8.0)]

    cost = BatchCost.fit(measurements)

    assert cost.call_s == 0
    assert cost.pixel_s == pytest.approx(solve(measurements)[1])


def test_a_pixel_always_costs_something():
    measurements = [(100, 2.0), (10_000, 1.8), (100_000, 1.7)]

    cost = BatchCost.fit(measurements)

    assert 0 < cost.pixel_s < 1e-12
    assert cost.call_s == pytest.approx(solve(measurements)[0])


@pytest.mark.parametrize("index", range(len(PIXELS)))
def test_one_measurement_that_was_disturbed_is_left_out(index):
    measurements = measure(3e-4, 4.8e-7)
    pixels, seconds = measurements[index]
    measurements[index] = (pixels, 30 * seconds)

    cost = BatchCost.fit(measurements)

    assert cost.call_s == pytest.approx(3e-4)
    assert cost.pixel_s == pytest.approx(4.8e-7)


def test_the_only_measurement_of_the_largest_size_is_not_left_out():
    measurements = [*measure(1e-3, 1e-9, [64, 64, 128, 128]), (10**6, 1.0)]

    assert BatchCost.fit(measurements).predict(10**6) > 0.1


def test_a_clock_that_has_not_moved_gives_a_cost_all_the_same():
    cost = BatchCost.fit([(64, 0.0), (4096, 0.0)])

    assert 0 < cost.predict(4096) < 1e-6


@pytest.mark.parametrize("measurements", [[], [(64, 0.1)], [(64, 0.1), (64, 0.2)]])
def test_a_single_size_tells_nothing(measurements):
    with pytest.raises(ValueError, match="at least two different numbers of pixels"):
        BatchCost.fit(measurements)


@pytest.mark.parametrize("wrong", [(0, 0.1), (64, -0.1), (64, math.nan), (64, math.inf)])
def test_measurements_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1 pixel and 0 finite seconds"):
        BatchCost.fit([(128, 0.2), (256, 0.3), wrong])


@pytest.mark.parametrize(
    ("call_s", "pixel_s"), [(-1e-9, 1.0), (1.0, 0.0), (math.inf, 1.0), (1.0, math.nan)]
)
def test_a_cost_that_cannot_be_is_refused(call_s, pixel_s):
    with pytest.raises(ValueError, match="call_s must be at least 0"):
        BatchCost(call_s, pixel_s)
