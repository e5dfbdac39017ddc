import asyncio
from contextlib import asynccontextmanager

import pytest

from service.bench.connection import ClientConnection, ConnectionLostError
from tests.service.bench.stub import RESET, http, run_stub


class Pipe(asyncio.Transport):
    """Lets the steps of an answer happen one by one once something is sent.

    Args:
        answers: for each request, the steps that follow it: pieces of the answer, which are fed
            to the reader, and functions, which are called with the pipe.
        room: bytes that are taken at once; the rest waits for `take`.
    """

    def __init__(self, answers, room):
        super().__init__()
        self.answers, self.room, self.closed = list(answers), room, False
        self.sent, self.unsent = bytearray(), bytearray()
        self.reader = asyncio.StreamReader()
        self.protocol = asyncio.StreamReaderProtocol(self.reader)
        self.protocol.connection_made(self)

    def write(self, data):
        self.unsent += data
        self.take(self.room)
        self.follow(iter(self.answers.pop(0)))

    def take(self, count):
        self.sent += self.unsent[:count]
        del self.unsent[:count]

    def follow(self, steps):
        step = next(steps, None)
        if step is None or self.closed:
            return
        if callable(step):
            step(self)
        else:
            self.reader.feed_data(step)
        asyncio.get_running_loop().call_soon(self.follow, steps)

    def get_write_buffer_size(self):
        return len(self.unsent)

    def is_closing(self):
        return self.closed

    def abort(self):
        if not self.closed:
            self.closed = True
            self.protocol.connection_lost(None)


@asynccontextmanager
async def open_connection(*answers, room=1 << 40):
    """Open a connection; yield it and the transport below it."""
    pipe = Pipe(answers, room)
    loop = asyncio.get_running_loop()
    writer = asyncio.StreamWriter(pipe, pipe.protocol, pipe.reader, loop)
    connection = ClientConnection(pipe.reader, writer)
    try:
        yield connection, pipe
    finally:
        await connection.close()


def exchange(*steps, request=b"question", room=1 << 40):
    """Send one request; return status and body, and whether the connection is open afterwards."""

    async def run():
        async with open_connection(steps, room=room) as (connection, _):
            response = await connection.exchange(request)
            return (response.status, response.body), connection.is_open

    return asyncio.run(run())


def lose(*steps):
    """Send one request that must not be answered."""

    async def run():
        async with open_connection(steps) as (connection, _):
            with pytest.raises(ConnectionLostError):
                await connection.exchange(b"question")
            assert not connection.is_open
            assert connection.responses == 0
            with pytest.raises(ConnectionLostError):
                await connection.exchange(b"next")

    asyncio.run(run())


def test_one_request_after_another_goes_over_one_connection():
    answers = (200, b"first"), (503, b"")

    async def run():
        async with open_connection(*([http(*answer)] for answer in answers)) as (connection, pipe):
            responses = [await connection.exchange(b"question") for _ in answers]
            assert [(response.status, response.body) for response in responses] == list(answers)
            assert bytes(pipe.sent) == b"questionquestion"
            assert connection.is_open
            assert connection.responses == 2

    asyncio.run(run())


def test_an_answer_may_come_in_pieces_of_any_size():
    whole = http(200, b"labels\r\n\r\nand more")

    response, _ = exchange(*(bytes([byte]) for byte in whole))

    assert response == (200, b"labels\r\n\r\nand more")


def test_names_of_fields_may_be_in_capitals_or_not():
    response, _ = exchange(b"HTTP/1.1 200 OK\r\ncontent-LENGTH:2\r\n\r\nok")

    assert response == (200, b"ok")


def test_a_large_request_is_sent_as_fast_as_it_is_taken():
    request = bytes(range(256)) * 20_000
    sent = []

    def take(pipe):
        sent.append(bytes(pipe.sent))
        pipe.take(1_000_000)

    steps = [take] * 6
    response, is_open = exchange(
        *steps, lambda pipe: sent.append(bytes(pipe.sent)), http(200), request=request, room=1
    )

    assert 0 < len(sent[0]) < len(request) / 2
    assert sent[-1] == request
    assert response == (200, b"")
    assert is_open


def test_an_answer_before_the_request_is_out_is_heard_and_ends_the_connection():
    response, is_open = exchange(http(429), request=bytes(5_000_000), room=1)

    assert response == (429, b"")
    assert not is_open


def test_a_server_that_wants_to_close_is_heard_first():
    response, is_open = exchange(http(200, b"last", "Connection: close"))

    assert response == (200, b"last")
    assert not is_open


@pytest.mark.parametrize(
    "damaged",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
        b"SMTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nmore",
        b"x" * 100_000,
    ],
)
def test_a_damaged_answer_ends_the_connection_unheard(damaged):
    lose(damaged)


def test_what_comes_after_the_end_is_not_heard():
    lose(lambda pipe: pipe.abort(), http(200))


def test_a_connection_that_is_closed_within_an_answer_is_lost():
    lose(http(200, b"labels")[:-1], lambda pipe: pipe.reader.feed_eof())


def test_a_request_that_is_given_up_ends_the_connection():
    async def run():
        async with open_connection([lambda _: asking.cancel()]) as (connection, _):
            asking = asyncio.ensure_future(connection.exchange(b"question"))
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert not connection.is_open

    asyncio.run(run())


def test_a_connection_that_is_reset_is_lost():
    async def run(server):
        connection = await ClientConnection.open(server)
        with pytest.raises(ConnectionLostError):
            await connection.exchange(b"GET / HTTP/1.1\r\n\r\n")
        assert not connection.is_open
        await connection.close()

    with run_stub(lambda *_: RESET) as server:
        asyncio.run(run(server))
