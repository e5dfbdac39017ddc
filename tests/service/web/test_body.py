import asyncio

import numpy as np
import pytest

from lacuna.errors import OverloadedError, SlowBodyError
from service.core.admission import AdmissionPolicy
from service.disconnects import ClientDisconnectedError
from service.engine.admission_gate import AdmissionGate
from service.engine.segmenter import Segmenter
from service.listening.body_limits import BodyLimits
from service.web.body import read_body
from tests.support.jemalloc import needs_jemalloc, run_with_jemalloc
from tests.support.waiting import let_others_run, let_pass, run_virtually

PATIENT = BodyLimits(10_000, idle_s=60, body_s=60)


class Sender:
    """A client that sends so many bytes, with a pause before each piece."""

    def __init__(self, pieces, bytes_each=10, pause_s=0.0, leaves=False):
        self.left, self.bytes_each, self.pause_s, self.leaves = pieces, bytes_each, pause_s, leaves

    async def receive(self):
        if self.pause_s or not self.left:
            # Nobody waits that long: a sender that is done is silent.
            await let_pass(self.pause_s if self.left else 60)
        if self.leaves:
            return {"type": "http.disconnect"}
        self.left -= 1
        return {"type": "http.request", "body": b"x" * self.bytes_each, "more_body": True}


class Whole(Sender):
    """The same, with an end."""

    async def receive(self):
        message = await super().receive()
        return message | {"more_body": self.left > 0}


def read(sender, limits=PATIENT, place=None):
    async def scenario():
        return await read_body(sender.receive, limits, reservation=place)

    return run_virtually(scenario())


def read_pieces(pieces):
    """Read a body whose pieces are all there, within a limit of its size."""
    left = list(pieces)

    async def receive():
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def scenario():
        return await read_body(receive, BodyLimits(sum(map(len, pieces))))

    return asyncio.run(scenario())


def test_a_body_in_pieces_is_put_together():
    assert read(Whole(5)) == b"x" * 50


@pytest.mark.parametrize("piece_bytes", [1000, 700_000, 3_000_000])
def test_a_large_body_is_the_pieces_one_after_the_other(piece_bytes):
    body = np.random.default_rng(0).bytes(9_321_098)
    pieces = [body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes)]

    assert read_pieces(pieces) == body


def test_small_and_large_pieces_stay_in_order():
    sizes = [3, 5000, 0, 7, 4095, 4096, 1, *[900] * 150, 70_000, 2]
    body = np.random.default_rng(0).bytes(sum(sizes))
    ends = np.cumsum(sizes).tolist()
    pieces = [body[end - size : end] for end, size in zip(ends, sizes, strict=True)]

    assert read_pieces(pieces) == body


@needs_jemalloc
def test_a_large_body_leaves_no_copies_to_an_allocator_that_keeps_what_is_freed():
    printed = run_with_jemalloc("""
import asyncio
from service.engine.memory import read_resident_bytes
from service.listening.body_limits import BodyLimits
from service.web.body import read_body

async def receive():
    global left
    left -= 1
    return {"type": "http.request", "body": b"x" * (1 << 16), "more_body": left > 0}

async def main():
    before_bytes = read_resident_bytes()
    body = await read_body(receive, BodyLimits(1 << 30))
    print((read_resident_bytes() - before_bytes) / len(body))

left = 1024
asyncio.run(main())
""")

    assert 1 < float(printed) < 2.5


def test_a_body_that_stops_coming_is_given_up():
    with pytest.raises(SlowBodyError, match=r"pause of 0\.05 s.*20 bytes have arrived"):
        read(Sender(2), BodyLimits(1000, idle_s=0.05, body_s=60))


def test_a_body_that_comes_slowly_is_waited_for():
    assert len(read(Whole(8, pause_s=0.02), BodyLimits(1000, idle_s=0.1, body_s=60))) == 80


def test_a_body_that_drips_is_given_up_in_the_end():
    with pytest.raises(SlowBodyError, match=r"within 0\.2 s"):
        read(Sender(10_000, 1, pause_s=0.005), BodyLimits(100_000, idle_s=0.1, body_s=0.2))


def test_nothing_is_left_of_the_waiting():
    async def scenario():
        task = asyncio.current_task()
        with pytest.raises(SlowBodyError):
            await read_body(Sender(0).receive, BodyLimits(1000, idle_s=0.01))
        await let_pass(60)
        return task.cancelling(), len(asyncio.all_tasks())

    assert run_virtually(scenario()) == (0, 1)


def test_a_cancellation_from_elsewhere_stays_one():
    async def scenario():
        task = asyncio.create_task(read_body(Sender(0).receive, PATIENT))
        await let_others_run()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run_virtually(scenario())


def test_a_client_that_leaves_is_said_to_have_left():
    with pytest.raises(ClientDisconnectedError):
        read(Sender(1, leaves=True))


def test_a_body_of_undeclared_length_takes_its_room_as_it_comes():
    segmenter = Segmenter()
    gate = AdmissionGate(segmenter.dispatcher, AdmissionPolicy(max_pending_bytes=100))

    with gate.reserve(60), gate.reserve(0) as place:
        assert len(read(Whole(4), place=place)) == 40
        with pytest.raises(OverloadedError, match="at most 100 bytes"):
            read(Whole(9), place=place)
    with gate.reserve(0) as place:
        assert len(read(Whole(20), place=place)) == 200  # a single body is limited elsewhere
    with gate.reserve(100):
        pass  # all room has been given back
    segmenter.close()
