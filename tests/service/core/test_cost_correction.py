import threading

import numpy as np
import pytest

from service.core.cost import BatchCost
from service.core.cost_correction import WINDOW, CostCorrection

SLOW_START = BatchCost(call_s=1.2e-3, pixel_s=2.081e-6)
"""Cost that was calibrated on a machine three times as slow as it is later."""


def draw_pixels(rng, calls):
    """Draw the pixels of calls of all sizes."""
    return np.exp(rng.uniform(np.log(64), np.log(1.3e6), calls)).astype(int).tolist()


def run_calls(correction, cost, calls, slowness, seed=0):
    """Note calls that take this many times what was calibrated, with 20 % of noise."""
    rng = np.random.default_rng(seed)
    for pixels in draw_pixels(rng, calls):
        calibrated_s = cost.predict(pixels)
        correction.note(calibrated_s, calibrated_s * slowness * rng.uniform(0.8, 1.2))


def test_the_calibration_is_where_to_begin():
    assert CostCorrection().factor == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_machine_that_was_slow_only_while_warming_is_predicted_well_after_100_calls(seed):
    correction = CostCorrection()

    run_calls(correction, SLOW_START, 100, 1 / 3, seed)

    # 709 ms a megapixel when quiet, where 2,081 were calibrated.
    quiet = BatchCost(0.4e-3, 0.7e-6)
    for pixels in (4225, 65_536, 10**6):
        predicted_s = SLOW_START.predict(pixels) * correction.factor
        assert predicted_s == pytest.approx(quiet.predict(pixels), rel=0.15)


@pytest.mark.parametrize("slowness", [3, 50])
def test_a_machine_that_becomes_slower_later_is_followed_within_100_calls(slowness):
    correction = CostCorrection()
    run_calls(correction, SLOW_START, 1000, 1)

    run_calls(correction, SLOW_START, 100, slowness)

    assert correction.factor == pytest.approx(slowness, rel=0.15)


def test_a_machine_that_is_quiet_again_is_followed_as_well():
    correction = CostCorrection()
    run_calls(correction, SLOW_START, 1000, 3)

    run_calls(correction, SLOW_START, 100, 1)

    assert correction.factor == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("before", [0, 1000])
def test_a_single_call_that_was_held_up_changes_nothing(before):
    correction = CostCorrection()
    for _ in range(before):
        correction.note(0.01, 0.02)
    expected = correction.factor

    correction.note(0.01, 50 * 0.02)

    assert correction.factor == expected


def test_calls_held_up_now_and_then_change_nothing():
    correction = CostCorrection()
    factors = set()
    for index in range(1000):
        correction.note(0.01, 0.5 if index % 10 == 0 else 0.02)
        factors.add(correction.factor)

    assert factors == {1, 2}


def test_half_of_the_window_may_be_held_up():
    correction = CostCorrection()
    for _ in range(WINDOW // 2):
        correction.note(0.01, 0.5)

    assert correction.factor == 1


@pytest.mark.parametrize(("measured_s", "factor"), [(0.0, 1e-3), (1e9, 1e3)])
def test_a_clock_that_is_wrong_leaves_a_factor_that_can_be_used(measured_s, factor):
    correction = CostCorrection()
    for _ in range(WINDOW):
        correction.note(0.01, measured_s)

    assert correction.factor == factor


def test_several_threads_note_their_calls():
    correction = CostCorrection()

    def work():
        for _ in range(2000):
            correction.note(0.01, 0.03)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert correction.factor == pytest.approx(3)
