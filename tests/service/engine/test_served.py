import asyncio

import pytest

from service.core.cost import BatchCost
from service.core.cost_correction import WINDOW
from service.core.placement import Canvas
from service.runtime.fake import FakeRuntime
from tests.service.engine.test_admission_gate import fill_queue
from tests.service.engine.test_segmenter import (
    BROKEN,
    fill_sample,
    run_segmenter,
    serve_model,
)
from tests.support.runtimes import Gated
from tests.support.waiting import let_others_run

COST = BatchCost(call_s=1e-3, pixel_s=1e-6)


class Ticking(FakeRuntime):
    """Moves a clock by the seconds that each call takes on a slow machine."""

    def __init__(self, slowness):
        super().__init__()
        self.slowness, self.now_s = slowness, 0.0

    def run(self, images, masks, *, probabilities, keep=None):
        self.now_s += self.slowness * (1e-3 + 1e-6 * masks.size)
        return super().run(images, masks, probabilities=probabilities, keep=keep)


def segment_often(model, calls):
    """Segment an image so many times, one after the other."""

    async def scenario():
        async with run_segmenter(clock=lambda: model.runtime.now_s) as segmenter:
            for side in range(calls):
                await segmenter.segment(model, fill_sample(4 + side % 40, 12))

    asyncio.run(scenario())


@pytest.mark.parametrize("slowness", [1 / 3, 3])
def test_calls_correct_what_the_calibration_predicts(slowness):
    model = serve_model(Ticking(slowness), cost=COST)
    assert model.predict_s(Canvas((64, 64))) == pytest.approx(1e-3 + 4096e-6)

    segment_often(model, 100)

    assert model.predict_s(Canvas((64, 64))) == pytest.approx(slowness * (1e-3 + 4096e-6))
    assert model.predict_call_s(9999) == pytest.approx(slowness * (1e-3 + 9999e-6))


def test_a_model_that_is_not_calibrated_because_it_breaks_the_contract_is_corrected_too():
    model = serve_model(Ticking(100), contract=BROKEN)

    async def scenario():
        async with run_segmenter(clock=lambda: model.runtime.now_s) as segmenter:
            for _ in range(100):
                await segmenter.segment(model, fill_sample(20, 30))

    asyncio.run(scenario())

    assert model.predict_s(Canvas((20, 30))) == pytest.approx(100 * (1e-3 + 600e-6))


def test_what_windows_cost_beside_each_other_does_not_change():
    model = serve_model(Ticking(3), cost=COST)

    segment_often(model, 100)

    assert model.cost == COST
    assert model.price(Canvas((64, 64))) == pytest.approx(1e-3 + 4096e-6)


def test_each_model_has_its_own_correction():
    slow, other = serve_model(Ticking(3), cost=COST), serve_model(Ticking(1), cost=COST)

    segment_often(slow, 100)

    assert other.predict_s(Canvas((4, 4))) == pytest.approx(1e-3 + 16e-6)


def test_windows_leave_the_queue_with_the_seconds_that_they_were_queued_with():
    model = serve_model(Gated(), cost=BatchCost(call_s=3.9, pixel_s=1e-9))

    async def scenario():
        async with run_segmenter(clock=lambda: 0.0) as segmenter:

            def measure():
                return sum(segmenter.dispatcher.read_waiting().values())

            tasks = await fill_queue(segmenter, model)
            before_s = measure()
            for _ in range(WINDOW):
                model.note_call(Canvas((4, 4)), 1, 3 * model.cost.predict(16))
            queued_s = measure()
            tasks.append(asyncio.create_task(segmenter.segment(model, fill_sample(4, 4))))
            await let_others_run()
            corrected_s = measure()
            model.runtime.go.set()
            await asyncio.gather(*tasks)
            return before_s, queued_s, corrected_s, measure()

    before_s, queued_s, corrected_s, after_s = asyncio.run(scenario())

    assert before_s == queued_s == pytest.approx(7.8)
    assert corrected_s == pytest.approx(7.8 + 11.7)
    assert after_s == pytest.approx(0, abs=1e-9)
