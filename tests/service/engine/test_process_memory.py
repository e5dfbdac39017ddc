import asyncio
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.memory import read_resident_bytes
from service.engine.process_memory import ProcessMemory, plan_memory, watch_memory

GB = 1_000_000_000
MB = 1_000_000


class Process:
    """Fake of the process' memory.

    Attributes:
        used_bytes: Memory in use.
        free_bytes: Memory that the allocator keeps.
    """

    def __init__(self, used_bytes, free_bytes=0):
        self.used_bytes, self.free_bytes = used_bytes, free_bytes

    def read_resident(self):
        return self.used_bytes + self.free_bytes

    def return_free(self):
        self.free_bytes = 0

    def limit(self, limit_bytes, call_pixels=0):
        return ProcessMemory(limit_bytes, call_pixels, self.read_resident, self.return_free)


@pytest.mark.parametrize(
    ("limit_bytes", "workers", "window_pixels", "primitives"),
    [
        (GB // 2, 2, 256 * 256, 1024),
        (2 * GB, 2, 410_958, 3000),
        (4 * GB, 2, 1_095_890, 8000),
        (4 * GB, 1, 1_300_000, 8000),
        (64 * GB, 16, 1_300_000, 8192),
    ],
)
def test_windows_and_the_cache_of_primitives_grow_with_the_memory(
    limit_bytes, workers, window_pixels, primitives
):
    plan = plan_memory(limit_bytes, workers)

    assert plan.window_pixels == window_pixels
    assert plan.primitives == primitives


@given(st.integers(1 * GB, 100 * GB), st.integers(1, 64))
def test_all_calls_together_take_half_of_what_the_memory_leaves(limit_bytes, workers):
    window_pixels = plan_memory(limit_bytes, workers).window_pixels

    if window_pixels > 256 * 256:
        assert workers * window_pixels * 730 <= (limit_bytes - 800 * MB) / 2


def test_memory_is_reserved_for_calls_that_do_not_run_now():
    memory = Process(1 * GB).limit(4 * GB, 1_000_000)
    memory.give_back()
    memory.reserve(700.0)
    memory.reserve(500.0)

    assert memory.measure_free_bytes() == pytest.approx(0.85 * (4 - 1 - 0.7) * GB, abs=1)


def test_memory_that_calls_have_left_is_not_counted_twice():
    process = Process(1 * GB)
    memory = process.limit(4 * GB, 1_000_000)
    memory.give_back()
    memory.reserve(700.0)
    process.free_bytes = 600 * MB
    kept = memory.measure_free_bytes()
    process.free_bytes = 900 * MB

    assert kept == pytest.approx(0.85 * (4 - 1 - 0.7) * GB, abs=1)
    assert memory.measure_free_bytes() == pytest.approx(0.85 * (4 - 1 - 0.9) * GB, abs=1)


@pytest.mark.parametrize(
    ("limit_bytes", "missing_bytes"),
    [(4 * GB, 0), (1834 * MB + 217_728, 0), (1800 * MB, 34_217_728)],
)
def test_memory_is_missing_if_the_process_its_calls_and_small_requests_exceed_the_limit(
    limit_bytes, missing_bytes
):
    memory = Process(1 * GB, 500 * MB).limit(limit_bytes, 1_000_000)
    memory.reserve(700.0)
    assert memory.missing_bytes == 0
    memory.give_back()

    assert memory.missing_bytes == missing_bytes


class DoneError(Exception):
    """Exception that ends an endless watch."""


def watch(process, *pending):
    """Watch the memory while so many requests are pending at each look."""
    looks = iter(pending)
    memory = process.limit(4 * GB)
    memory.give_back()
    process.free_bytes = 500 * MB

    async def sleep(wait_s):
        assert 0 < wait_s < 60
        if not remaining:
            raise DoneError
        remaining.pop()

    remaining = list(pending)
    with pytest.raises(DoneError):
        asyncio.run(watch_memory(memory, lambda: next(looks) == 0, sleep))
    return process.free_bytes


@pytest.mark.parametrize("pending", [(0, 0), (3, 0, 0), (0, 3, 0, 0, 3)])
def test_an_idle_server_gives_memory_back(pending):
    assert watch(Process(1 * GB), *pending) == 0


@pytest.mark.parametrize("pending", [(), (0,), (0, 3, 0), (3, 3, 3, 3)])
def test_a_server_between_two_requests_keeps_its_memory(pending):
    assert watch(Process(1 * GB), *pending) == 500 * MB


def test_what_requests_held_while_memory_was_given_back_is_measured_anew_once():
    process = Process(3 * GB)
    memory = process.limit(4 * GB)
    memory.give_back(is_idle=False)
    process.used_bytes, process.free_bytes = 1 * GB, 2 * GB
    assert memory.has_excess
    memory.give_back()

    assert not memory.has_excess
    assert memory.measure_free_bytes() == pytest.approx(0.85 * 3 * GB, abs=1)


def test_little_memory_is_not_worth_the_work():
    process = Process(1 * GB)
    memory = process.limit(4 * GB)
    memory.give_back()
    process.free_bytes = 1 * MB
    looks = [None, None]

    async def sleep(wait_s):
        if not looks:
            raise DoneError
        looks.pop()

    with pytest.raises(DoneError):
        asyncio.run(watch_memory(memory, lambda: True, sleep))

    assert process.free_bytes == 1 * MB


@pytest.mark.skipif(sys.platform != "linux", reason="only there resident memory is known")
def test_the_real_process_knows_what_it_has_taken():
    memory = ProcessMemory()
    memory.give_back()
    before = read_resident_bytes()
    array = np.ones(64 << 20, np.uint8)

    assert memory.excess_bytes == pytest.approx(read_resident_bytes() - before, abs=8 << 20)
    assert memory.excess_bytes > 48 << 20
    assert array[0] == 1


def test_nothing_is_given_back_while_the_memory_of_calls_is_measured():
    process = Process(1 * GB, 300 * MB)
    memory = process.limit(4 * GB)

    with memory.keep():
        memory.return_free()
        memory.give_back()
        assert process.free_bytes == memory.excess_bytes - 1 * GB == 300 * MB
    memory.return_free()
    assert process.free_bytes == 0
    memory.give_back()
    assert memory.excess_bytes == 0
