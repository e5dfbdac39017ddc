import pytest

from service.core.batching import BatchPolicy
from service.core.buckets import Ladder
from service.engine.lifecycle.preparation import AbandonedError
from service.engine.lifecycle.warmup import (
    WarmupCall,
    WarmupPolicy,
    plan_others,
    plan_timed,
    warm_up,
)
from service.runtime.fake import FakeRuntime
from tests.support.runtimes import Failing, Recording


def test_every_square_of_the_ladder_is_run_with_every_batch_size_that_fits():
    policy = WarmupPolicy(batch=BatchPolicy(4096), pixels=4096, window_pixels=128 * 128)

    calls = [*plan_timed(Ladder(8), policy), *plan_others(Ladder(8), policy)]

    squares = [call for call in calls if call.height == call.width]
    assert WarmupCall(1, 64, 64) in squares
    assert WarmupCall(32, 8, 8) in squares
    assert WarmupCall(4, 32, 32) in squares
    assert WarmupCall(8, 32, 32) not in squares
    assert [call for call in calls if call.pixels > 4096] == [WarmupCall(1, 128, 128)]
    assert len(calls) == len(set(calls))


def test_one_image_of_each_square_is_timed_and_no_batch():
    policy = WarmupPolicy(batch=BatchPolicy(4096), pixels=4096, window_pixels=640 * 640)

    calls = plan_timed(Ladder(8), policy)

    sides = [8, 16, 24, 32, 40, 48, 56, 64, 384, 512, 640]
    assert calls == [WarmupCall(1, side, side) for side in sides]


def test_no_square_is_larger_than_a_window():
    policy = WarmupPolicy(pixels=64 * 64, window_pixels=32 * 32)

    calls = [*plan_timed(Ladder(8), policy), *plan_others(Ladder(8), policy)]

    assert max(call.height * call.width for call in calls) == 32 * 32
    assert WarmupCall(4, 32, 32) in calls


def test_with_nothing_to_warm_a_cost_can_still_be_measured():
    calls = plan_timed(Ladder(8), WarmupPolicy(pixels=0, window_pixels=1))

    assert len({call.pixels for call in calls}) == 2


@pytest.mark.parametrize(("side", "runs"), [(256, 3), (264, 2), (512, 2), (520, 1), (1136, 1)])
def test_the_longer_a_call_the_fewer_its_runs(side, runs):
    runtime = Recording()

    warm_up(runtime, [WarmupCall(1, 8, 8), WarmupCall(1, side, side)])

    assert runtime.shapes.count((1, side, side, 1)) == runs


def test_every_worker_runs_every_call():
    runtime = Recording()

    warm_up(runtime, [WarmupCall(1, 4, 4), WarmupCall(2, 8, 8)], workers=2)

    assert runtime.shapes.count((1, 4, 4, 1)) == runtime.shapes.count((2, 8, 8, 1)) == 6


def test_progress_is_told_after_each_call():
    told = []

    warm_up(
        FakeRuntime(),
        [WarmupCall(1, 4, 4), WarmupCall(1, 8, 8)],
        on_progress=lambda *at: told.append(at),
    )

    assert told == [(1, 2), (2, 2)]


def test_the_times_are_those_of_the_clock():
    calls = [WarmupCall(1, 4, 4), WarmupCall(1, 8, 8), WarmupCall(1, 16, 16)]
    # Each run is 1 s and an eighth of a second for each pixel.
    seconds = [1 + call.pixels / 8 for call in calls for _ in range(3)]
    now = [0.0]

    class Slow(FakeRuntime):
        def run(self, images, masks, *, probabilities):
            now[0] += 1 + images.size / 8

    measured = warm_up(Slow(), calls, clock=lambda: now[0])

    assert sum(seconds) == now[0]
    assert measured == [(call.pixels, 1 + call.pixels / 8) for call in calls]


def test_a_model_that_fails_while_warming_says_so():
    with pytest.raises(Exception, match="no memory"):
        warm_up(Failing(), [WarmupCall(1, 4, 4), WarmupCall(1, 8, 8)])


def test_a_model_that_is_known_already_is_run_once():
    runtime = Recording()

    warm_up(runtime, [WarmupCall(1, 4, 4), WarmupCall(2, 8, 8)], runs=1)

    assert runtime.shapes == [(1, 4, 4, 1), (2, 8, 8, 1)]


def test_every_window_of_two_sides_of_the_ladder_is_run_once_and_alone():
    policy = WarmupPolicy(pixels=24 * 24, window_pixels=128 * 128)
    runtime = Recording()

    others = plan_others(Ladder(8), policy)
    warm_up(runtime, [], others, workers=2)

    windows = {call[1:] for call in others if call.height != call.width}
    assert windows == {(8, 16), (8, 24), (16, 8), (16, 24), (24, 8), (24, 16)}
    assert {call.images for call in others if call.height != call.width} == {1}
    assert sorted(runtime.shapes) == sorted((*call, 1) for call in others)
    assert [call.pixels for call in others] == sorted((c.pixels for c in others), reverse=True)


def test_no_window_is_warmed_that_is_larger_than_any_may_be():
    others = plan_others(Ladder(8), WarmupPolicy(pixels=64 * 64, window_pixels=300))

    assert max(call.height * call.width for call in others) <= 300


def test_who_is_told_of_the_progress_can_end_it():
    runtime = Recording()

    def stop(done, total):
        raise AbandonedError

    with pytest.raises(AbandonedError):
        warm_up(runtime, [], [WarmupCall(1, 4, 8)] * 500, on_progress=stop)

    assert len(runtime.shapes) < 500
