import asyncio

import pytest

from lacuna.errors import NotReadyError, OverloadedError
from service.core.admission import AdmissionPolicy
from service.core.cost import BatchCost
from service.engine.admission_gate import AdmissionGate
from service.engine.segmenter import Segmenter
from tests.service.engine.test_segmenter import (
    fill_sample,
    hold_worker,
    run_segmenter,
    serve_model,
)
from tests.support.runtimes import Gated
from tests.support.waiting import let_others_run


def test_so_many_requests_are_taken_in_at_once_and_no_more():
    segmenter = Segmenter()
    gate = AdmissionGate(segmenter.dispatcher, AdmissionPolicy(max_pending=2))

    with gate.reserve(10), gate.reserve(10):
        with pytest.raises(OverloadedError, match="at most 2") as caught, gate.reserve(10):
            pytest.fail("a third was taken in")
        assert caught.value.retry_after_s >= 1
    with gate.reserve(10):
        pass
    segmenter.close()


def test_bodies_are_bounded_together():
    segmenter = Segmenter()
    gate = AdmissionGate(segmenter.dispatcher, AdmissionPolicy(max_pending_bytes=100))

    with gate.reserve(90), pytest.raises(OverloadedError, match="100 bytes"), gate.reserve(11):
        pytest.fail("it was taken in")
    with gate.reserve(90), gate.reserve(10):
        pass
    segmenter.close()


async def fill_queue(segmenter, model):
    """Occupy the worker and queue two samples: 11.7 predicted seconds of work."""
    tasks = [await hold_worker(segmenter, model)]
    for _ in range(2):
        tasks.append(asyncio.create_task(segmenter.segment(model, fill_sample(4, 4))))
        await let_others_run()
    return tasks


def admit(gate, timeout_s):
    with gate.reserve(1):
        gate.check_timeout(timeout_s)


@pytest.mark.parametrize(
    ("policy", "timeout_s", "rule", "retry_after_s"),
    [
        (AdmissionPolicy(max_wait_s=10), None, "at most 10 s; it is 11.7", 2),
        (AdmissionPolicy(max_wait_s=100), 3, "timeout of 3 s; it is 11.7", 9),
    ],
)
def test_a_long_queue_refuses_and_says_when_to_come_again(policy, timeout_s, rule, retry_after_s):
    model = serve_model(Gated(), cost=BatchCost(call_s=3.9, pixel_s=1e-9))

    async def scenario():
        async with run_segmenter(clock=lambda: 0.0) as segmenter:
            gate = AdmissionGate(segmenter.dispatcher, policy)
            tasks = await fill_queue(segmenter, model)
            with pytest.raises(OverloadedError, match=rule) as caught:
                admit(gate, timeout_s)
            model.runtime.go.set()
            await asyncio.gather(*tasks)
            admit(gate, timeout_s)
            return caught.value.retry_after_s

    assert asyncio.run(scenario()) == retry_after_s


def test_one_client_leaves_places_to_others():
    segmenter = Segmenter()
    gate = AdmissionGate(segmenter.dispatcher, AdmissionPolicy(max_pending=4, max_share=0.5))

    with gate.reserve(1, client="one"), gate.reserve(1, client="one"):
        with (
            pytest.raises(OverloadedError, match="at most 2; there are 2") as caught,
            gate.reserve(1, client="one"),
        ):
            pytest.fail("it was taken in")
        assert caught.value.reason == "share"
        with gate.reserve(1, client="two"), gate.reserve(1, client="three"):
            pass
    with gate.reserve(1, client="one"):
        pass  # what was held has been given back
    segmenter.close()


def test_one_client_leaves_room_for_the_bodies_of_others():
    segmenter = Segmenter()
    gate = AdmissionGate(
        segmenter.dispatcher, AdmissionPolicy(max_pending_bytes=100, max_share=0.5)
    )

    with gate.reserve(40, client="one"):
        with (
            pytest.raises(OverloadedError, match="at most 50 bytes"),
            gate.reserve(11, client="one"),
        ):
            pytest.fail("it was taken in")
        with gate.reserve(60, client="two"):
            pass
    with gate.reserve(100, client="one"):
        pass  # a single body is limited elsewhere
    segmenter.close()


def test_a_client_that_fills_the_queue_alone_leaves_some_of_the_wait_to_others():
    model = serve_model(Gated(), cost=BatchCost(call_s=3.9, pixel_s=1e-9))
    policy = AdmissionPolicy(max_wait_s=20, max_share=0.5)

    async def scenario():
        async with run_segmenter(clock=lambda: 0.0) as segmenter:
            gate = AdmissionGate(segmenter.dispatcher, policy)
            tasks = await fill_queue(segmenter, model)
            with gate.reserve(1, client="one"), gate.reserve(1, client="two"):
                with (
                    gate.reserve(1, client="two"),
                    pytest.raises(
                        OverloadedError, match=r"at most 10 s for a client .*; it is 1[12]"
                    ),
                    gate.reserve(1, client="two"),
                ):
                    pytest.fail("it was taken in")
                with gate.reserve(1, client="three"):
                    pass
            model.runtime.go.set()
            await asyncio.gather(*tasks)

    asyncio.run(scenario())


def test_a_gate_that_is_closed_takes_nothing_in_and_lets_out_what_it_has():
    segmenter = Segmenter()
    gate = AdmissionGate(segmenter.dispatcher)

    with gate.reserve(1) as reservation:
        gate.close()
        with pytest.raises(NotReadyError), gate.reserve(1):
            pytest.fail("it was taken in")
        reservation.grow(10)
        assert gate.pending == 1
    assert gate.pending == 0
    segmenter.close()
