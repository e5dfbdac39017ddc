import asyncio
import threading

import pytest

from service.engine.threads import SharedThreads
from tests.support.waiting import let_others_run


def run(scenario):
    return asyncio.run(scenario(SharedThreads(max_share=0.5, threads=2)))


def test_work_runs_beside_the_event_loop_and_returns_its_result():
    async def scenario(threads):
        return await threads.run("one", threading.get_ident)

    assert run(scenario) != threading.get_ident()


def test_an_error_of_the_work_is_raised():
    async def scenario(threads):
        await threads.run("one", lambda: {}["missing"])

    with pytest.raises(KeyError):
        run(scenario)


def test_a_client_with_its_share_of_the_threads_leaves_the_others():
    async def scenario(threads):
        go, done = threading.Event(), []
        slow = [asyncio.create_task(threads.run("one", go.wait)) for _ in range(5)]
        await let_others_run()
        done.append(await threads.run("two", lambda: "two"))
        assert not any(task.done() for task in slow)
        go.set()
        assert await asyncio.gather(*slow) == [True] * 5
        return done

    assert run(scenario) == ["two"]


def test_a_cancelled_caller_holds_its_thread_until_the_work_has_ended():
    async def scenario(threads):
        begun, go = threading.Event(), threading.Event()

        def work():
            begun.set()
            go.wait(30)

        task = asyncio.create_task(threads.run("one", work))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        await let_others_run()
        assert not task.done()
        task.cancel()
        await let_others_run()
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario)


def test_a_caller_that_is_cancelled_while_it_waits_goes_at_once():
    async def scenario(threads):
        go = threading.Event()
        first = asyncio.create_task(threads.run("one", go.wait))
        waiting = asyncio.create_task(threads.run("one", lambda: pytest.fail("it ran")))
        await let_others_run()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        assert await first

    run(scenario)
