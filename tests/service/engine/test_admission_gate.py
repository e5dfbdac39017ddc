import asyncio

import pytest

from lacuna.errors import ImageTooLargeError, NotReadyError, OverloadedError
from service.core.admission import AdmissionPolicy
from service.core.cost import BatchCost
from service.engine.admission_gate import AdmissionGate
from service.engine.memory import MemoryBudget
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
        gate.check_wait("", timeout_s)


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


async def fill_queue_of(segmenter, model, client):
    """Occupy the worker for 3.9 predicted seconds, and queue 7.8 s of work of a client."""
    tasks = [await hold_worker(segmenter, model)]
    for _ in range(2):
        work = segmenter.segment(model, fill_sample(4, 4), client=client)
        tasks.append(asyncio.create_task(work))
        await let_others_run()
    return tasks


def run_with_queue(policy, scenario):
    """Run a scenario with a gate whose queue holds 7.8 s of work of the client "one"."""
    model = serve_model(Gated(), cost=BatchCost(call_s=3.9, pixel_s=1e-9))

    async def run():
        async with run_segmenter(clock=lambda: 0.0) as segmenter:
            tasks = await fill_queue_of(segmenter, model, "one")
            await scenario(AdmissionGate(segmenter.dispatcher, policy))
            model.runtime.go.set()
            await asyncio.gather(*tasks)

    asyncio.run(run())


def test_a_client_with_more_than_its_share_of_the_wait_is_refused_and_others_are_not():
    async def scenario(gate):
        with (
            pytest.raises(OverloadedError, match=r"at most 5 s; it takes 7\.8 s") as caught,
            gate.reserve(1, client="one"),
        ):
            pytest.fail("it was taken in")
        assert (caught.value.reason, caught.value.retry_after_s) == ("share", 3)
        with gate.reserve(1, client="two"):
            pass

    run_with_queue(AdmissionPolicy(max_wait_s=10, max_share=0.5), scenario)


def test_the_wait_of_a_client_with_nothing_pending_is_that_of_the_running_calls():
    async def scenario(gate):
        with gate.reserve(1, client="two"):
            with pytest.raises(OverloadedError, match=r"timeout of 3\.8 s; it is 3\.9 s"):
                gate.check_wait("two", 3.8)
            gate.check_wait("two", 4.0)

    run_with_queue(AdmissionPolicy(max_wait_s=4, max_share=1), scenario)


def test_work_that_is_announced_counts_until_it_is_withdrawn():
    segmenter = Segmenter()
    gate = AdmissionGate(segmenter.dispatcher, AdmissionPolicy(max_wait_s=10, max_share=0.5))

    with gate.reserve(1, "one") as first, gate.reserve(1, "one") as second:
        first.announce(45.0)
        with pytest.raises(OverloadedError, match="at most 5 s; it takes 45 s") as caught:
            second.announce(0.1)
        assert caught.value.reason == "share"
        with gate.reserve(1, "two") as other:
            other.announce(45.0)
        first.withdraw()
        second.announce(0.1)
    with gate.reserve(1, "one") as third:
        third.announce(0.1)
    segmenter.close()


def test_a_body_of_undeclared_length_counts_towards_the_share_of_its_client():
    segmenter = Segmenter()
    policy = AdmissionPolicy(max_pending_bytes=1000, max_share=0.5)
    gate = AdmissionGate(segmenter.dispatcher, policy)

    with gate.reserve(0, "one") as first, gate.reserve(0, "one") as second:
        first.grow(300)
        second.grow(200)
        with pytest.raises(OverloadedError, match="at most 500 bytes") as caught:
            second.grow(201)
        assert caught.value.reason == "share"
        with gate.reserve(400, "two"):
            pass
    with gate.reserve(0, "one") as alone:
        alone.grow(900)  # a single body is limited elsewhere
    segmenter.close()


def hold_pool(total_bytes, max_wait_s=30):
    """Return a gate with this much memory for images."""
    segmenter = Segmenter()
    memory = MemoryBudget(total_bytes * 12 // 7)
    policy = AdmissionPolicy(max_wait_s=max_wait_s)
    gate = AdmissionGate(segmenter.dispatcher, policy, memory)
    assert memory.pool.total_bytes == total_bytes
    return segmenter, gate


def test_memory_for_images_is_waited_for():
    segmenter, gate = hold_pool(7000)

    async def scenario():
        with gate.reserve(1, "one") as first, gate.reserve(1, "two") as second:
            await first.hold(6000)
            waiting = asyncio.create_task(second.hold(2000))
            await let_others_run()
            assert not waiting.done()
            first.shrink(5000)
            await waiting
            assert (first.held_bytes, second.held_bytes) == (5000, 2000)
        assert gate.memory.held_bytes == 0

    asyncio.run(scenario())
    segmenter.close()


def test_memory_that_does_not_become_free_in_time_refuses():
    segmenter, gate = hold_pool(7000, max_wait_s=0.05)

    async def scenario():
        with gate.reserve(1, "one") as first, gate.reserve(1, "two") as second:
            await first.hold(6000)
            with pytest.raises(OverloadedError, match="2000 bytes did not") as caught:
                await second.hold(2000)
        assert caught.value.reason == "memory"
        with gate.reserve(1, "two") as second:
            await second.hold(7000)  # what was refused waits no more

    asyncio.run(scenario())
    segmenter.close()


def test_a_small_image_does_not_wait_for_memory_behind_large_ones():
    segmenter, gate = hold_pool(7000)

    async def scenario():
        with gate.reserve(1, "one") as first, gate.reserve(1, "two") as second:
            await first.hold(6000)
            waiting = asyncio.create_task(second.hold(6000))
            await let_others_run()
            with gate.reserve(1, "three") as small:
                await small.hold(100)
                assert gate.memory.held_bytes == 6100
            first.shrink(0)
            await waiting

    asyncio.run(scenario())
    segmenter.close()


def test_more_memory_than_there_is_refuses_for_good():
    segmenter, gate = hold_pool(7000)

    async def scenario():
        with gate.reserve(1, "one") as reservation:
            await reservation.hold(6000)
            with pytest.raises(ImageTooLargeError, match=r"at most 7000 bytes .*; they need 7001"):
                await reservation.hold(1001)

    asyncio.run(scenario())
    segmenter.close()


def test_the_memory_of_an_answer_is_kept_beyond_its_request():
    segmenter, gate = hold_pool(7000)

    async def scenario():
        with gate.reserve(1, "one") as reservation:
            await reservation.hold(6000)
            release = reservation.keep(2000)
        assert (gate.pending, gate.memory.held_bytes) == (0, 2000)
        release()
        assert gate.memory.held_bytes == 0

    asyncio.run(scenario())
    segmenter.close()


def test_a_body_that_was_announced_and_has_not_come_keeps_nobody_out():
    segmenter = Segmenter()
    gate = AdmissionGate(segmenter.dispatcher, AdmissionPolicy(max_pending_bytes=1000))

    with (
        gate.reserve(0, "one", declared_bytes=900),
        gate.reserve(0, "two", declared_bytes=900),
        gate.reserve(0, "three", declared_bytes=900) as reservation,
    ):
        reservation.grow(900)
        with (
            pytest.raises(OverloadedError, match="at most 1000 bytes"),
            gate.reserve(0, "four", declared_bytes=101),
        ):
            pytest.fail("it was taken in")
    segmenter.close()


def test_a_single_request_waits_for_nobody_even_beyond_its_share():
    segmenter = Segmenter()
    memory = MemoryBudget(12000, max_share=0.5)
    gate = AdmissionGate(segmenter.dispatcher, AdmissionPolicy(max_wait_s=0.05), memory)

    async def scenario():
        with gate.reserve(1, "one") as reservation:
            await reservation.hold_for_parsing(2000)
            await reservation.hold_for_images(5000)
            assert reservation.held_bytes == 7000
            reservation.shrink(reservation.parse_bytes + 100)
            assert gate.memory.held_bytes == 2100

    asyncio.run(scenario())
    segmenter.close()


def test_small_images_take_common_memory_if_their_own_is_full_and_nobody_waits_for_it():
    segmenter, gate = hold_pool(7000)

    async def scenario():
        with gate.reserve(1, "one") as reservation:
            for _ in range(20):
                await reservation.hold(100)
            assert gate.memory.small_pool.held_bytes == 1000
            assert gate.memory.pool.held_bytes == 1000

    asyncio.run(scenario())
    segmenter.close()


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
