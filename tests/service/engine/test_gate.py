import asyncio

import pytest

from service.core.admission import AdmissionPolicy
from service.core.cost import BatchCost
from service.engine.gate import Gate
from service.engine.segmenter import Segmenter
from service.errors import OverloadedError
from tests.service.engine.test_segmenter import (
    fill_sample,
    hold_worker,
    run_segmenter,
    serve_model,
)
from tests.support.runtimes import Gated


def test_so_many_requests_are_taken_in_at_once_and_no_more():
    segmenter = Segmenter()
    gate = Gate(segmenter.dispatcher, AdmissionPolicy(max_pending=2))

    with gate.hold(10), gate.hold(10):
        with pytest.raises(OverloadedError, match="at most 2") as caught, gate.hold(10):
            pytest.fail("a third was taken in")
        assert caught.value.retry_after_s >= 1
    with gate.hold(10):
        pass
    segmenter.close()


def test_bodies_are_bounded_together():
    segmenter = Segmenter()
    gate = Gate(segmenter.dispatcher, AdmissionPolicy(max_pending_bytes=100))

    with gate.hold(90), pytest.raises(OverloadedError, match="100 bytes"), gate.hold(11):
        pytest.fail("it was taken in")
    with gate.hold(90), gate.hold(10):
        pass
    segmenter.close()


async def fill_queue(segmenter, model):
    """Keep the worker busy and let two samples wait behind: 12 s of work, as the model predicts."""
    tasks = [await hold_worker(segmenter, model)]
    for _ in range(2):
        tasks.append(asyncio.create_task(segmenter.segment(model, fill_sample(4, 4))))
        await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize(
    ("policy", "timeout_s", "rule", "retry_after_s"),
    [
        (AdmissionPolicy(max_wait_s=10), None, "within 10 s; it would in 1[12]", 2),
        (AdmissionPolicy(max_wait_s=100), 3, "timeout of 3 s; it would in 1[12]", 9),
    ],
)
def test_a_long_queue_refuses_and_says_when_to_come_again(policy, timeout_s, rule, retry_after_s):
    model = serve_model(Gated(), cost=BatchCost(call_s=4.0, pixel_s=1e-9))

    async def scenario():
        async with run_segmenter() as segmenter:
            gate = Gate(segmenter.dispatcher, policy)
            tasks = await fill_queue(segmenter, model)
            with pytest.raises(OverloadedError, match=rule) as caught, gate.hold(1, timeout_s):
                pytest.fail("it was taken in")
            model.runtime.go.set()
            await asyncio.gather(*tasks)
            with gate.hold(1, timeout_s):
                return caught.value.retry_after_s

    assert asyncio.run(scenario()) == retry_after_s
