import pytest

from lacuna.windows.window import Window
from service.core.batching import BatchPolicy
from service.core.buckets import Ladder
from service.core.cost import BatchCost
from service.engine.lifecycle.preparation import AbandonedError
from service.engine.lifecycle.warmup import (
    WarmupCall,
    WarmupPolicy,
    fit_cost,
    plan_others,
    plan_timed,
    warm_up,
)
from service.runtime.fake import FakeRuntime
from tests.support.runtimes import Failing, Recording


def test_every_square_of_the_ladder_is_run_alone_and_in_its_largest_batch():
    policy = WarmupPolicy(batch=BatchPolicy(4096), pixels=4096)

    calls = plan_others(Ladder(8), policy)

    counts = {8: 32, 16: 16, 24: 4, 32: 4, 40: 2, 48: 1, 56: 1, 64: 1}
    squares = {WarmupCall(n, side, side) for side, most in counts.items() for n in (1, most)}
    assert set(calls) == squares
    assert len(calls) == len(squares)
    assert [call.pixels for call in calls] == sorted((c.pixels for c in calls), reverse=True)


@pytest.mark.parametrize(
    ("window_pixels", "sides"),
    [(1136**2, [8, 16, 24, 40, 64, 512]), (300**2, [8, 16, 24, 40, 64, 296])],
)
def test_squares_whose_sides_grow_by_half_are_timed_and_the_largest_of_at_most_512_pixels(
    window_pixels, sides
):
    policy = WarmupPolicy(batch=BatchPolicy(4096), pixels=4096, window_pixels=window_pixels)

    assert plan_timed(Ladder(8), policy) == [WarmupCall(1, side, side) for side in sides]


def test_no_square_is_larger_than_a_window():
    policy = WarmupPolicy(pixels=64 * 64, window_pixels=32 * 32)

    calls = [*plan_timed(Ladder(8), policy), *plan_others(Ladder(8), policy)]

    assert max(call.height * call.width for call in calls) == 32 * 32


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
        def run(self, images, masks, *, probabilities, keep=None):
            now[0] += 1 + images.size / 8

    measured = warm_up(Slow(), calls, clock=lambda: now[0])

    assert sum(seconds) == now[0]
    assert measured == [(call, 1 + call.pixels / 8) for call in calls]


def test_a_model_that_fails_while_warming_says_so():
    with pytest.raises(Exception, match="no memory"):
        warm_up(Failing(), [WarmupCall(1, 4, 4), WarmupCall(1, 8, 8)])


def test_a_model_that_is_known_already_is_run_once():
    runtime = Recording()

    warm_up(runtime, [WarmupCall(1, 4, 4), WarmupCall(2, 8, 8)], runs=1)

    assert runtime.shapes == [(1, 4, 4, 1), (2, 8, 8, 1)]


def test_other_calls_are_run_once_by_any_worker():
    runtime = Recording()
    others = plan_others(Ladder(8), WarmupPolicy(pixels=24 * 24))

    warm_up(runtime, [], others, workers=2)

    assert sorted(runtime.shapes) == sorted((*call[:3], 1) for call in others)


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


def test_of_a_model_that_keeps_windows_two_are_timed_with_their_halo():
    whole = plan_timed(Ladder(8), WarmupPolicy())
    calls = plan_timed(Ladder(8), WarmupPolicy(), halo=56)

    assert calls[: len(whole)] == whole
    assert calls[len(whole) :] == [
        WarmupCall(1, 224, 224, Window(56, 56, 112, 112)),
        WarmupCall(1, 464, 464, Window(56, 56, 352, 352)),
    ]


def test_no_window_is_timed_that_is_larger_than_any_may_be():
    calls = plan_timed(Ladder(8), WarmupPolicy(window_pixels=300 * 300), halo=56)

    assert [call.height for call in calls if call.keep is not None] == [224]


def test_of_a_model_that_computes_strips_two_full_squares_are_timed_on_them():
    whole = plan_timed(Ladder(8), WarmupPolicy())
    calls = plan_timed(Ladder(8), WarmupPolicy(), can_skip=True)
    exact = BatchCost(1e-3, 1e-6, strips_s=(2e-3, 3e-6))

    assert calls[: len(whole)] == whole
    # Four strips of 16 blocks in one run each, twelve of 48; a block is 8 × 32 pixels.
    assert [(call.height, call.strips) for call in calls[len(whole) :]] == [
        (128, 4 * 17 * 256),
        (384, 12 * 49 * 256),
    ]
    cost = fit_cost(
        [
            (call, exact.predict_strips(call.strips) if call.strips else exact.predict(call.pixels))
            for call in calls
        ]
    )
    assert cost.strips_s == pytest.approx(exact.strips_s)
    assert cost.pixel_s == pytest.approx(1e-6)


@pytest.mark.parametrize("total_stride", [1, 2, 8, 16, 32, 64])
@pytest.mark.parametrize("window_pixels", [1, 64, 4096, 256 * 256, 147_455, 1_300_000])
def test_squares_on_strips_fit_into_a_window_and_their_cost_can_always_be_fitted(
    total_stride, window_pixels
):
    policy = WarmupPolicy(window_pixels=window_pixels)
    calls = plan_timed(Ladder(total_stride), policy, can_skip=True)
    on_strips = [call for call in calls if call.strips is not None]

    assert all(call.pixels <= window_pixels for call in on_strips)
    assert len({call.strips for call in on_strips}) in (0, 2)
    assert (fit_cost([(call, 1e-6 * call.pixels) for call in calls]).strips_s is None) == (
        not on_strips
    )


@pytest.mark.parametrize(
    ("total_stride", "window_pixels", "sides"),
    [(8, 256 * 256, [80, 256]), (16, 1_300_000, [160, 512]), (32, 1_300_000, [160, 512])],
)
def test_squares_on_strips_are_smaller_if_a_window_is_or_cells_are_large(
    total_stride, window_pixels, sides
):
    policy = WarmupPolicy(window_pixels=window_pixels)
    calls = plan_timed(Ladder(total_stride), policy, can_skip=True)

    assert [call.height for call in calls if call.strips is not None] == sides


def test_a_call_on_strips_reaches_the_model():
    asked = []

    class Asked(FakeRuntime):
        def run(self, images, masks, *, probabilities, keep=None, on_strips=False):
            asked.append((images.shape, keep, on_strips))
            return super().run(images, masks, probabilities=probabilities)

    warm_up(Asked(can_skip=True), [WarmupCall(1, 12, 16, strips=384)], runs=1)

    assert asked == [((1, 12, 16, 1), None, True)]


def test_a_window_to_keep_reaches_the_model():
    asked = []

    class Asked(FakeRuntime):
        def run(self, images, masks, *, probabilities, keep=None):
            asked.append((images.shape, keep))
            return super().run(images, masks, probabilities=probabilities, keep=keep)

    warm_up(Asked(can_keep=True), [WarmupCall(1, 12, 16, Window(4, 4, 4, 8))], runs=1)

    assert asked == [((1, 12, 16, 1), Window(4, 4, 4, 8))]


def test_calls_that_keep_a_window_tell_what_is_only_seen_and_nothing_else():
    exact = BatchCost(call_s=1e-3, pixel_s=1e-6, halo_s=3e-7)
    calls = plan_timed(Ladder(8), WarmupPolicy(), halo=56)
    measured = [
        (call, exact.predict(call.pixels))
        if call.keep is None
        else (call, exact.predict(call.kept_pixels, call.pixels - call.kept_pixels))
        for call in calls
    ]

    cost = fit_cost(measured)

    assert cost.call_s == pytest.approx(1e-3)
    assert cost.pixel_s == pytest.approx(1e-6)
    assert cost.halo_s == pytest.approx(3e-7)
    assert fit_cost([(call, s) for call, s in measured if call.keep is None]).halo_s is None
