import asyncio

import pytest

from service.disconnects import GRACE_S, ClientDisconnectedError, cancel_on_disconnect


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
        left = asyncio.Event()
        async with cancel_on_disconnect(left.wait):
            await asyncio.sleep(GRACE_S * 1.5)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1


def test_a_cancellation_from_elsewhere_stays_one():
    async def scenario():
        async def work():
            async with cancel_on_disconnect(asyncio.Event().wait):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
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
