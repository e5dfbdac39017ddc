import asyncio
import gc
import itertools
import weakref
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.errors import DeadlineExceededError, InferenceError, OutOfMemoryError
from lacuna.sample import Sample
from lacuna.windows.window import Window
from service.core.batching import BatchPolicy
from service.core.cost import BatchCost
from service.engine.segmenter import EnginePolicy, Segmenter
from service.engine.served import ServedModel
from service.runtime.contract.report import Check, ContractReport
from service.runtime.fake import FakeRuntime
from tests.support.runtimes import Failing, Gated, Greedy, Poisoned, Recording
from tests.support.waiting import let_others_run, wait_until

HOLDS = ContractReport(())
BROKEN = ContractReport((Check("canvas", False, "7 of 9 labels differ"),))
ONE_WINDOW = BatchPolicy(max_pixels=1)
# So cheap a call that whatever can be left out by cutting pays.
EAGER = BatchCost(call_s=0.0, pixel_s=1e-6)


def draw_sample(rng, height, width, valid):
    image = rng.integers(0, 256, (height, width, 1)).astype(np.uint8)
    return Sample(image, rng.random((height, width)) < valid)


def fill_sample(height, width, brightness=100):
    return Sample(np.full((height, width, 1), brightness, np.uint8), np.ones((height, width), bool))


def serve_model(runtime, contract=HOLDS, **options):
    return ServedModel("fake", "1", runtime, contract, **options)


@asynccontextmanager
async def run_segmenter(policy=None, **options):
    segmenter = Segmenter(policy, **options)
    try:
        yield segmenter
    finally:
        await asyncio.to_thread(segmenter.close)


def read_counters(segmenter):
    """Return the counters of the model that `serve_model` makes."""
    return segmenter.dispatcher.counters.read("fake", "1")


def count_calls(work):
    """Return the number of calls for each number of windows."""
    return {windows: batch.infer.count for windows, batch in work.batches.items()}


def count_alone(model, sample, **options):
    """Segment a sample, and return the counters."""

    async def scenario():
        async with run_segmenter(**options) as segmenter:
            await segmenter.segment(model, sample)
            return read_counters(segmenter)

    return asyncio.run(scenario())


def segment(model, *samples, policy=None, **options):
    """Segment samples concurrently."""

    async def scenario():
        async with run_segmenter(policy) as segmenter:
            return await asyncio.gather(
                *(segmenter.segment(model, sample, **options) for sample in samples),
                return_exceptions=True,
            )

    results = asyncio.run(scenario())
    for result in results:
        if isinstance(result, Exception) and len(results) == 1:
            raise result
    return results


def answer_alone(sample, probabilities=False):
    """Return the output for the whole sample, alone and unpadded."""
    image = np.where(sample.mask[..., None], sample.image, 0).astype(np.float32)
    output = FakeRuntime().run(image[None], sample.mask[None], probabilities=True)
    return output.labels[0], output.probabilities[0]


async def hold_worker(segmenter, model):
    """Occupy a worker until the model's runtime is released."""
    task = asyncio.create_task(segmenter.segment(model, fill_sample(4, 4)))
    await asyncio.to_thread(model.runtime.begun.wait, 30)
    return task


async def segment_together(segmenter, holder, model, *values):
    """Segment images of these brightnesses, which are queued while a worker is occupied."""
    first = await hold_worker(segmenter, holder)
    rest = [
        asyncio.create_task(segmenter.segment(model, fill_sample(8, 8, value))) for value in values
    ]
    await let_others_run()
    holder.runtime.go.set()
    await first
    return await asyncio.gather(*rest, return_exceptions=True)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_answer_depends_on_mates_windows_padding_or_workers(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    side, valid = st.integers(1, 60), st.sampled_from([0.0, 0.03, 0.6, 1.0])
    samples = [
        draw_sample(rng, data.draw(side), data.draw(side), data.draw(valid))
        for _ in range(data.draw(st.integers(1, 6)))
    ]
    policy = EnginePolicy(
        workers=data.draw(st.integers(1, 3)),
        window_pixels=data.draw(st.sampled_from([400, 10_000])),
        batch=BatchPolicy(max_pixels=data.draw(st.sampled_from([1, 2000, 65_536]))),
    )
    model = serve_model(FakeRuntime(), cost=data.draw(st.sampled_from([EAGER, BatchCost(1, 1e-9)])))

    results = segment(model, *samples, policy=policy, probabilities=True)

    for sample, result in zip(samples, results, strict=True):
        labels, probabilities = answer_alone(sample)
        np.testing.assert_array_equal(result.segmentation.labels, labels)
        np.testing.assert_array_equal(
            result.segmentation.probabilities * sample.mask[..., None],
            probabilities * sample.mask[..., None],
        )


def test_only_the_box_of_valid_pixels_is_computed():
    runtime = Recording()
    mask = np.zeros((100, 200), bool)
    mask[50:60, 120:130] = True

    (result,) = segment(serve_model(runtime), Sample(np.zeros((100, 200, 1), np.uint8), mask))

    assert runtime.shapes == [(1, 12, 12, 1)]
    assert result.computed_pixels == 144


def test_without_a_valid_pixel_the_model_is_not_asked():
    runtime = Recording()
    sample = draw_sample(np.random.default_rng(0), 9, 9, 0.0)

    (result,) = segment(serve_model(runtime), sample, probabilities=True)

    assert runtime.shapes == []
    assert (result.segmentation.labels == 255).all()
    assert not result.segmentation.probabilities.any()
    assert result.computed_pixels == 0


def test_a_large_image_comes_in_windows():
    runtime = Recording()
    sample = fill_sample(64, 64)

    (result,) = segment(serve_model(runtime), sample, policy=EnginePolicy(window_pixels=24 * 24))

    assert sum(shape[0] for shape in runtime.shapes) > 4
    assert max(height * width for _, height, width, _ in runtime.shapes) <= 24 * 24
    np.testing.assert_array_equal(result.segmentation.labels, answer_alone(sample)[0])


@pytest.mark.parametrize("contract", [HOLDS, BROKEN])
def test_a_kept_window_is_segmented_and_the_rest_is_only_seen(contract):
    keep = Window(8, 16, 24, 16)
    sample = draw_sample(np.random.default_rng(0), 64, 48, 0.5)

    async def segment(**options):
        async with run_segmenter() as segmenter:
            model = serve_model(FakeRuntime(), contract, cost=EAGER)
            return await segmenter.segment(model, sample, probabilities=True, **options)

    whole = asyncio.run(segment()).segmentation
    part = asyncio.run(segment(keep=keep)).segmentation

    assert part.labels.shape == sample.size
    assert np.array_equal(part.labels[keep.slices], whole.labels[keep.slices])
    assert np.array_equal(part.probabilities[keep.slices], whole.probabilities[keep.slices])
    assert np.count_nonzero(part.labels != 255) == np.count_nonzero(sample.mask[keep.slices])


def test_idle_workers_share_an_image_and_busy_ones_do_not():
    model, holder = serve_model(FakeRuntime()), serve_model(Gated())
    sample = fill_sample(64, 64)

    async def scenario():
        async with run_segmenter(EnginePolicy(workers=2)) as segmenter:
            shared = await segmenter.segment(model, sample)
            held = await hold_worker(segmenter, holder)
            alone = await segmenter.segment(model, sample)
            holder.runtime.go.set()
            await held
            return shared, alone

    shared, alone = asyncio.run(scenario())

    assert shared.computed_pixels > alone.computed_pixels == 64 * 64
    assert np.array_equal(shared.segmentation.labels, alone.segmentation.labels)


def test_the_largest_windows_of_an_image_are_computed_first():
    runtime = Recording()
    mask = np.zeros((300, 300), bool)
    mask[:12, :12] = mask[100:140, :40] = mask[-80:, -80:] = True
    sample = Sample(np.zeros((300, 300, 1), np.uint8), mask)
    cost = BatchCost(call_s=0, pixel_s=1e-6)

    segment(serve_model(runtime, cost=cost), sample)

    assert [shape[1] for shape in runtime.shapes] == [80, 40, 12]


def test_a_model_that_breaks_the_contract_sees_exact_images_with_mates_of_their_size():
    runtime = Gated()
    model = serve_model(runtime, BROKEN)
    mask = np.zeros((13, 17), bool)
    mask[5, 5] = True
    odd = Sample(np.zeros((13, 17, 1), np.uint8), mask)

    async def scenario():
        async with run_segmenter(EnginePolicy(window_pixels=100)) as segmenter:
            first = await hold_worker(segmenter, model)
            rest = [
                asyncio.create_task(segmenter.segment(model, sample))
                for sample in (odd, fill_sample(12, 17), odd)
            ]
            await let_others_run()
            runtime.go.set()
            await asyncio.gather(first, *rest)

    asyncio.run(scenario())

    assert runtime.shapes == [(1, 4, 4, 1), (2, 13, 17, 1), (1, 12, 17, 1)]


def test_what_waits_shares_a_call():
    runtime = Gated()
    model = serve_model(runtime)

    async def scenario():
        async with run_segmenter() as segmenter:
            return await segment_together(segmenter, model, model, 10, 100, 200, 250)

    results = asyncio.run(scenario())

    assert runtime.shapes == [(1, 4, 4, 1), (4, 8, 8, 1)]
    assert [result.segmentation.labels[0, 0] for result in results] == [0, 1, 2, 2]


def test_a_failing_model_fails_its_request():
    with pytest.raises(InferenceError, match="no memory"):
        segment(serve_model(Failing()), fill_sample(4, 4))


def test_a_poisoned_image_fails_alone():
    runtime, holder = Poisoned(66), serve_model(Gated())

    async def scenario():
        async with run_segmenter() as segmenter:
            return await segment_together(segmenter, holder, serve_model(runtime), 10, 66, 200, 250)

    results = asyncio.run(scenario())

    assert [shape[0] for shape in runtime.shapes] == [4, 2, 1, 1, 2]
    assert isinstance(results[1], ZeroDivisionError)
    assert [results[index].segmentation.labels[0, 0] for index in (0, 2, 3)] == [0, 2, 2]


def test_a_batch_that_memory_does_not_suffice_for_runs_in_halves():
    runtime, holder = Greedy(2 * 8 * 8), serve_model(Gated())

    async def scenario():
        async with run_segmenter() as segmenter:
            return await segment_together(segmenter, holder, serve_model(runtime), 10, 66, 200, 250)

    results = asyncio.run(scenario())

    assert [shape[0] for shape in runtime.shapes] == [4, 2, 2]
    assert [result.segmentation.labels[0, 0] for result in results] == [0, 0, 2, 2]


def test_a_window_that_memory_does_not_suffice_for_fails_for_now():
    with pytest.raises(OutOfMemoryError, match="memory to run the model") as caught:
        segment(serve_model(Greedy(63)), fill_sample(8, 8))

    frames = [frame.name for frame in caught.traceback]
    assert "run_windows" not in frames  # its arrays would stay in memory until the answer is sent


def test_one_window_that_fails_fails_its_image_and_the_rest_is_not_run():
    runtime = Poisoned(66)
    sample = fill_sample(64, 64, 66)

    with pytest.raises(ZeroDivisionError):
        segment(
            serve_model(runtime),
            sample,
            policy=EnginePolicy(window_pixels=24 * 24, batch=ONE_WINDOW),
        )

    assert len(runtime.shapes) == 1


def test_work_whose_time_is_up_in_the_queue_never_runs():
    runtime = Gated()
    model = serve_model(runtime)

    async def scenario():
        async with run_segmenter() as segmenter:
            first = await hold_worker(segmenter, model)
            with pytest.raises(DeadlineExceededError, match=r"0\.01 s are over"):
                await segmenter.segment(model, fill_sample(4, 4), timeout_s=0.01)
            runtime.go.set()
            await first

    asyncio.run(scenario())

    assert len(runtime.shapes) == 1


class Jumping(asyncio.SelectorEventLoop):
    """Event loop whose clock can be put forward."""

    ahead_s = 0.0

    def time(self):
        return super().time() + self.ahead_s


def test_the_time_of_planning_is_part_of_the_timeout():
    runtime = Gated()

    async def scenario(loop):
        class LongPlanned(ServedModel):
            def make_tiling(self, max_pixels):
                loop.ahead_s = 100.0
                return super().make_tiling(max_pixels)

        model = LongPlanned("fake", "1", runtime, HOLDS)
        # No time passes on the segmenter's clock, so the window begins.
        async with run_segmenter(clock=lambda: 0.0) as segmenter:
            segmenting = segmenter.segment(model, fill_sample(257, 256), timeout_s=50)
            try:
                with pytest.raises(DeadlineExceededError, match="50 s are over"):
                    await asyncio.wait_for(segmenting, 110)
            finally:
                runtime.go.set()

    with asyncio.Runner(loop_factory=Jumping) as runner:
        runner.run(scenario(runner.get_loop()))


def test_of_three_callers_one_may_leave_and_the_others_get_their_answers():
    runtime = Gated()
    model = serve_model(runtime)

    async def scenario():
        async with run_segmenter() as segmenter:
            first = await hold_worker(segmenter, model)
            rest = [
                asyncio.create_task(segmenter.segment(model, fill_sample(8, 8, value)))
                for value in (10, 100, 200)
            ]
            await let_others_run()
            rest[1].cancel()
            await let_others_run()
            runtime.go.set()
            return await asyncio.gather(first, rest[0], rest[2])

    results = asyncio.run(scenario())

    assert runtime.shapes[1:] == [(2, 8, 8, 1)]
    assert [result.segmentation.labels[0, 0] for result in results[1:]] == [0, 2]


def test_whoever_leaves_while_being_run_holds_nobody_up():
    runtime = Gated()
    model = serve_model(runtime)

    async def scenario():
        async with run_segmenter() as segmenter:
            first = await hold_worker(segmenter, model)
            first.cancel()
            second = asyncio.create_task(segmenter.segment(model, fill_sample(4, 4)))
            await let_others_run()
            runtime.go.set()
            return await second

    assert asyncio.run(scenario()).segmentation.labels.shape == (4, 4)


def test_a_higher_priority_goes_first():
    runtime = Gated()
    model = serve_model(runtime)

    async def scenario():
        async with run_segmenter() as segmenter:
            first = await hold_worker(segmenter, model)
            low = asyncio.create_task(segmenter.segment(model, fill_sample(8, 8)))
            await let_others_run()
            high = asyncio.create_task(segmenter.segment(model, fill_sample(40, 40), priority=1))
            await let_others_run()
            runtime.go.set()
            await asyncio.gather(first, low, high)

    asyncio.run(scenario())

    assert runtime.shapes[1:] == [(1, 40, 40, 1), (1, 8, 8, 1)]


def test_the_time_in_the_queue_is_told_apart_from_the_work():
    runtime = Gated()
    model = serve_model(runtime)
    now = [10.0]

    async def scenario():
        segmenter = Segmenter(clock=lambda: now[0])
        first = await hold_worker(segmenter, model)
        second = asyncio.create_task(segmenter.segment(model, fill_sample(4, 4)))
        await let_others_run()
        now[0] = 13.0
        runtime.go.set()
        results = await asyncio.gather(first, second)
        await asyncio.to_thread(segmenter.close)
        return results

    first, second = asyncio.run(scenario())

    assert (first.queue_s, first.infer_s) == (0.0, 3.0)
    assert (second.queue_s, second.infer_s) == (3.0, 0.0)


def test_a_call_that_several_share_counts_once_with_all_its_windows():
    model = serve_model(Gated())

    async def scenario():
        async with run_segmenter() as segmenter:
            await segment_together(segmenter, model, model, 10, 100, 200, 250)
            return read_counters(segmenter)

    work = asyncio.run(scenario())

    assert (count_calls(work), work.images) == ({1: 1, 4: 1}, 5)


def test_every_call_for_a_large_image_counts_and_the_image_once():
    runtime = Recording()
    policy = EnginePolicy(window_pixels=24 * 24, batch=ONE_WINDOW)

    work = count_alone(serve_model(runtime), fill_sample(64, 64), policy=policy)

    assert work.calls == len(runtime.shapes) > 4
    assert work.images == 1


def test_an_image_without_a_valid_pixel_is_counted_without_a_call():
    sample = draw_sample(np.random.default_rng(0), 9, 9, 0.0)

    work = count_alone(serve_model(FakeRuntime()), sample)

    assert (work.calls, work.images) == (0, 1)


def test_of_a_batch_that_fails_only_the_halves_that_came_back_count():
    holder = ServedModel("holder", "1", Gated(), HOLDS)

    async def scenario():
        async with run_segmenter() as segmenter:
            await segment_together(segmenter, holder, serve_model(Poisoned(66)), 10, 66, 200, 250)
            return read_counters(segmenter)

    work = asyncio.run(scenario())

    assert (count_calls(work), work.images) == ({1: 1, 2: 1}, 3)


def test_a_call_is_timed_from_putting_together_to_taking_apart():
    ticks = itertools.count()

    work = count_alone(
        serve_model(FakeRuntime()), fill_sample(4, 4), clock=lambda: float(next(ticks))
    )

    # A tick of the clock goes by at each look: nobody else looks while a call is made.
    batch = work.batches[1]
    assert (batch.input.total_s, batch.infer.total_s, batch.output.total_s) == (1.0, 1.0, 1.0)


def test_whoever_listens_is_told_of_every_call():
    records = []

    async def scenario():
        async with run_segmenter() as segmenter:
            segmenter.dispatcher.on_batch = records.append
            await segmenter.segment(serve_model(FakeRuntime()), fill_sample(4, 8))

    asyncio.run(scenario())

    (record,) = records
    assert record[:4] == ("fake", "1", 1, 32)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_an_image_is_freed_with_its_answer_and_waits_for_no_collector(is_cancelled):
    model = serve_model(Gated() if is_cancelled else FakeRuntime(), cost=EAGER)

    async def scenario():
        async with run_segmenter(EnginePolicy(window_pixels=64)) as segmenter:
            sample = fill_sample(32, 32)
            gone = weakref.ref(sample)
            task = asyncio.create_task(segmenter.segment(model, sample))
            del sample
            if is_cancelled:
                await asyncio.to_thread(model.runtime.begun.wait, 30)
                task.cancel()
                model.runtime.go.set()
            await asyncio.wait([task])
            del task
            # The worker's last call has ended, and it waits for another.
            assert await asyncio.to_thread(wait_until, lambda: gone() is None)

    gc.collect()
    gc.disable()
    try:
        asyncio.run(scenario())
    finally:
        gc.enable()
