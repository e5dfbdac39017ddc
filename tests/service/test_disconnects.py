import asyncio

import pytest

from service.disconnects import GRACE_S, ClientDisconnectedError, cancel_on_disconnect
from tests.support.waiting import let_others_run


def test_what_is_done_for_a_client_that_left_is_cancelled():
    async def scenario():
        left, forever = asyncio.Event(), asyncio.Event()
        asyncio.get_running_loop().call_later(GRACE_S * 2, left.set)
        async with cancel_on_disconnect(left.wait):
            await forever.wait()

    with pytest.raises(ClientDisconnectedError):
        asyncio.run(scenario())


def test_for_a_client_that_stays_nothing_changes():
    async def scenario():
        listened, left = asyncio.Event(), asyncio.Event()

        async def wait_for_disconnect():
            listened.set()
            await left.wait()

        async with cancel_on_disconnect(wait_for_disconnect):
            await listened.wait()
        await let_others_run()
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1


def test_a_cancellation_from_elsewhere_stays_one():
    async def scenario():
        async def work():
            async with cancel_on_disconnect(asyncio.Event().wait):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await let_others_run()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())


def test_an_error_inside_passes_through():
    async def scenario():
        async with cancel_on_disconnect(asyncio.Event().wait):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scenario())
