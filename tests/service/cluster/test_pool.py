"""Calls whose workers are lost, and workers that do not fit; without Ray."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from lacuna.errors import InferenceError, InvalidGraphError, InvalidImageError
from service.cluster.pool import CALLS_PER_WORKER, ClusterError, LostWorkerError, WorkerPool
from tests.support.waiting import let_pass, run_virtually

POISON = "poison"


class FakeWorker:
    """Worker that doubles numbers in a second; `POISON` ends it."""

    def __init__(self, lives=1000, *, begins=True):
        self.lives, self.begins = lives, begins
        self.busy = self.most_busy = 0
        self.is_ended = False

    async def call(self, method, *arguments):
        (number,) = arguments
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            await let_pass(1)
        finally:
            self.busy -= 1
        self.lives -= 1
        if self.lives < 0 or number == POISON:
            self.lives = 0
            raise LostWorkerError("node gone")
        if number == "damaged":
            raise InvalidImageError("an image must not be damaged; it is")
        return 2 * number

    def end(self):
        self.is_ended = True


class Cluster:
    """Cluster that starts given workers in turn, and then ones that live on."""

    def __init__(self, *workers, prepare=None, opening=None):
        self.given, self.started = list(workers), []
        self.prepared, self.opening = prepare, opening

    def start(self):
        worker = self.given.pop(0) if self.given else FakeWorker()
        self.started.append(worker)
        return worker

    async def prepare(self, worker):
        if not worker.begins:
            await asyncio.Event().wait()
        if self.prepared is not None:
            raise self.prepared

    async def open_model(self, worker):
        await let_pass(1)
        if worker.lives == 0:
            raise LostWorkerError("no memory")
        if self.opening is not None:
            raise self.opening

    def make_pool(self, size, patience_s=60):
        return WorkerPool(self.start, self.prepare, self.open_model, size, patience_s)


def double(cluster, size, numbers, patience_s=60):
    async def run():
        async with cluster.make_pool(size, patience_s) as pool:
            return await asyncio.gather(*(pool.call("double", number) for number in numbers))

    return run_virtually(run())


def test_a_worker_has_as_many_calls_as_keep_it_busy_and_no_more():
    cluster = Cluster()

    assert double(cluster, 2, range(20)) == [2 * number for number in range(20)]
    assert [worker.most_busy for worker in cluster.started] == [CALLS_PER_WORKER] * 2
    assert all(worker.is_ended for worker in cluster.started)


def test_calls_of_a_lost_worker_are_repeated_and_it_is_replaced():
    cluster = Cluster(FakeWorker(lives=3), FakeWorker(lives=4))

    assert double(cluster, 2, range(30)) == [2 * number for number in range(30)]
    assert len(cluster.started) == 4
    assert cluster.started[0].is_ended


def test_a_call_that_ends_three_workers_fails_and_the_others_do_not():
    async def run():
        async with cluster.make_pool(2) as pool:
            good = [asyncio.create_task(pool.call("double", number)) for number in range(6)]
            with pytest.raises(InferenceError, match="3 processes ended, the last with node gone"):
                await pool.call("double", POISON)
            return await asyncio.gather(*good)

    cluster = Cluster()

    assert run_virtually(run()) == [0, 2, 4, 6, 8, 10]


def test_an_error_of_a_call_is_its_own():
    async def run():
        async with Cluster().make_pool(1) as pool:
            with pytest.raises(InvalidImageError):
                await pool.call("double", "damaged")
            return await pool.call("double", 4)

    assert run_virtually(run()) == 8


@pytest.mark.parametrize(
    "faults",
    [
        {"prepare": ClusterError("all nodes must have lacuna 1; one has 2")},
        {"opening": InvalidGraphError("saved_model.pb must be one that loads")},
    ],
)
def test_a_worker_that_does_not_fit_ends_all_calls(faults):
    with pytest.raises(type(next(iter(faults.values())))):
        double(Cluster(**faults), 2, range(10))


def test_workers_that_are_lost_while_they_load_the_model_end_all_calls():
    cluster = Cluster(*(FakeWorker(lives=0) for _ in range(9)))

    with pytest.raises(ClusterError, match="3 in a row ended before they had loaded"):
        double(cluster, 2, range(10))
    assert len(cluster.started) == 6


def test_a_place_without_a_worker_does_not_hold_up_the_others():
    cluster = Cluster(FakeWorker(begins=False))

    assert double(cluster, 2, range(200)) == [2 * number for number in range(200)]


def test_calls_end_when_no_cpu_becomes_free_in_time():
    cluster = Cluster(*(FakeWorker(begins=False) for _ in range(2)))

    with pytest.raises(ClusterError, match="must become free within 60 s; none did"):
        double(cluster, 2, range(3))


def test_calls_end_when_all_workers_are_gone_for_good():
    cluster = Cluster(FakeWorker(lives=2), *(FakeWorker(begins=False) for _ in range(9)))

    with pytest.raises(ClusterError, match="must become free"):
        double(cluster, 1, range(10))


def test_a_call_that_is_cancelled_frees_its_seat():
    async def run():
        async with Cluster().make_pool(1) as pool:
            calls = [asyncio.create_task(pool.call("double", number)) for number in range(4)]
            await let_pass(1.5)
            for call in calls:
                call.cancel()
            for call in calls:
                with suppress(asyncio.CancelledError):
                    await call
            return Counter(await asyncio.gather(*(pool.call("double", 7) for _ in range(4))))

    assert run_virtually(run()) == Counter({14: 4})
