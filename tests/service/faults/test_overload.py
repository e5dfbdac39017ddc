import asyncio
import time
from collections import Counter

import numpy as np
import pytest

from tests.service.faults.asking import IMAGE, ask, ask_at_rate, ask_in_turn, measure_goodput
from tests.support.apps import encode_image
from tests.support.fake_server import run_fake_server
from tests.support.sockets import make_head

MiB = 1 << 20


@pytest.mark.slow
def test_ten_times_what_can_be_done_costs_little_of_what_is_done(tmp_path):
    """Each request is answered, with a segmentation or with 429; memory stays where it is."""
    # Four images a call, 0.17 s: 23 a second.
    with run_fake_server(
        tmp_path, call_s=0.01, pixel_s=0.16 / 4096, ADMISSION__MAX_WAIT_S=2
    ) as server:
        warm = asyncio.run(ask_in_turn(server.address, 12, 1))
        began_s = time.monotonic()
        closed = asyncio.run(ask_in_turn(server.address, 12, 4))
        peak = measure_goodput(closed, began_s + 0.5, began_s + 4)
        before_bytes = server.resident_bytes

        open_, goodput = [], 0.0
        for _ in range(5):  # whatever else the machine does can only take from it
            began_s = time.monotonic()
            outcomes = asyncio.run(ask_at_rate(server.address, 10 * peak, 5))
            goodput = max(goodput, measure_goodput(outcomes, began_s + 0.5, began_s + 5))
            open_ += outcomes
            if goodput >= 0.9 * peak:
                break
        grown_bytes = server.resident_bytes - before_bytes

    counts = Counter(outcome.status for outcome in open_)
    assert {outcome.status for outcome in warm + closed} == {200}
    assert set(counts) == {200, 429}, counts
    assert counts[429] > counts[200]
    assert all(int(o.headers["retry-after"]) >= 1 for o in open_ if o.status == 429)
    assert goodput >= 0.9 * peak, (goodput, peak)
    assert grown_bytes < 64 * MiB


async def send_slowly(address, until, all_begun):
    """Announce a body and let it drip once all others have; give the status that comes of it."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(make_head(Content_Length=1_000_000))
    await all_begun.wait()
    answer = asyncio.create_task(reader.readline())
    while not answer.done() and not until.is_set():
        writer.write(b"x")
        await asyncio.wait([answer], timeout=0.3)
    answer.cancel()
    writer.close()
    return int(answer.result().split()[1]) if not answer.cancelled() else None


@pytest.mark.slow
def test_two_hundred_slow_senders_are_shown_out_and_others_do_not_notice(tmp_path):
    async def scenario(address):
        until, all_begun = asyncio.Event(), asyncio.Barrier(201)
        slow = [asyncio.create_task(send_slowly(address, until, all_begun)) for _ in range(200)]
        await all_begun.wait()
        ordinary = await ask_in_turn(address, 4, 2)
        statuses = await asyncio.wait_for(asyncio.gather(*slow), 30)
        return ordinary, statuses, await ask(address)

    with run_fake_server(tmp_path, LIMITS__BODY_S=4) as server:
        ordinary, statuses, last = asyncio.run(scenario(server.address))

    assert {outcome.status for outcome in ordinary} == {200}
    assert len(ordinary) > 40
    assert statuses == [408] * 200
    assert last.status == 200


def test_large_images_of_one_client_are_refused_and_another_is_answered(tmp_path):
    """Six images of 8 s at once, which are a few bytes each, and 20 small ones of somebody else."""
    huge = encode_image(np.zeros((2048, 2048), np.uint8))
    keys = "one-key-of-16-characters,two-key-of-16-characters"

    async def scenario(address):
        async def ask_as(key, body):
            return await ask(address, body, Authorization=f"Bearer {key}")

        first, second = keys.split(",")
        large = [asyncio.create_task(ask_as(first, huge)) for _ in range(6)]
        small = [await ask_as(second, IMAGE) for _ in range(20)]
        refused = [task.result() for task in large if task.done()]
        for task in large:
            task.cancel()
        await asyncio.gather(*large, return_exceptions=True)
        return refused, small

    # A call takes 0.13 s, and a huge image 64 of them.
    with run_fake_server(tmp_path, pixel_s=2e-6, API_KEYS=keys) as server:
        refused, small = asyncio.run(scenario(server.address))

    assert [outcome.status for outcome in small] == [200] * 20
    assert [outcome.status for outcome in refused] == [429] * 5
    assert all(1 <= int(outcome.headers["retry-after"]) <= 10 for outcome in refused)
