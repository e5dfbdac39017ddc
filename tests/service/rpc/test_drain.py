import asyncio

import pytest

from service.rpc.drain import Drain


@pytest.fixture
def run():
    """A function that runs a test with a drain and work that does not end by itself."""

    def run_with(test):
        async def main():
            end = asyncio.Event()
            work = asyncio.get_running_loop().create_task(end.wait())
            try:
                return await test(Drain(), work, end)
            finally:
                end.set()
                assert await work is True

        return asyncio.run(asyncio.wait_for(main(), 30))

    return run_with


def test_work_that_ends_is_done(run):
    async def test(drain, work, end):
        asyncio.get_running_loop().call_soon(end.set)
        return await drain.wait_for(work, None, 0)

    assert run(test)


@pytest.mark.parametrize("has_begun", [False, True])
def test_work_that_takes_longer_goes_on(run, has_begun):
    async def test(drain, work, _):
        if has_begun:
            drain.begin()
        return await drain.wait_for(work, 30 if has_begun else 0.01, 0.01)

    assert not run(test)


def test_a_drain_ends_all_waiting_after_its_own_time(run):
    async def test(drain, work, _):
        asyncio.get_running_loop().call_soon(drain.begin)
        return await asyncio.gather(*[drain.wait_for(work, None, 0.01) for _ in range(3)])

    assert run(test) == [False] * 3


def test_work_goes_on_if_the_waiting_is_cancelled(run):
    async def test(drain, work, end):
        waiting = asyncio.get_running_loop().create_task(drain.wait_for(work, None, 0))
        asyncio.get_running_loop().call_soon(waiting.cancel)
        await asyncio.wait([waiting])
        end.set()
        return waiting.cancelled() and await work

    assert run(test)
