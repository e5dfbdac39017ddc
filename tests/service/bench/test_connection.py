import asyncio

import pytest

from service.bench.connection import Connection
from tests.service.bench.stub import http


class Recorder:
    """Remembers what it hears."""

    def __init__(self):
        self.opened, self.answers, self.lost = 0, [], 0

    def on_open(self, _):
        self.opened += 1

    def on_answer(self, _, status, head, body):
        self.answers.append((status, body))

    def on_lost(self, _):
        self.lost += 1


class Pipe(asyncio.Transport):
    """Takes what is written, and says that it is full when it is."""

    def __init__(self, room=1 << 40):
        super().__init__()
        self.written, self.room, self.protocol = bytearray(), room, None

    def write(self, data):
        self.written += data
        if len(self.written) >= self.room:
            self.protocol.pause_writing()

    def drain(self):
        self.room += self.room
        self.protocol.resume_writing()

    def abort(self):
        self.protocol.connection_lost(None)


@pytest.fixture
def recorder():
    return Recorder()


def open_connection(recorder, pipe=None):
    connection, pipe = Connection(recorder), pipe or Pipe()
    pipe.protocol = connection
    connection.connection_made(pipe)
    return connection, pipe


def test_one_request_after_another_goes_over_one_connection(recorder):
    connection, pipe = open_connection(recorder)

    for status, body in ((200, b"first"), (503, b"")):
        connection.ask(b"question")
        connection.data_received(http(status, body))

    assert recorder.answers == [(200, b"first"), (503, b"")]
    assert bytes(pipe.written) == b"questionquestion"
    assert connection.is_open
    assert connection.answers == 2


def test_an_answer_may_come_in_pieces_of_any_size(recorder):
    connection, _ = open_connection(recorder)
    connection.ask(b"question")

    for byte in http(200, b"labels\r\n\r\nand more"):
        connection.data_received(bytes([byte]))

    assert recorder.answers == [(200, b"labels\r\n\r\nand more")]


def test_names_of_fields_may_be_in_capitals_or_not(recorder):
    connection, _ = open_connection(recorder)
    connection.ask(b"question")
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-LENGTH:2\r\n\r\nok")

    assert recorder.answers == [(200, b"ok")]


def test_a_large_request_is_sent_as_fast_as_it_is_taken(recorder):
    request = bytes(range(256)) * 20_000
    connection, pipe = open_connection(recorder, Pipe(room=1))
    connection.ask(request)

    assert 0 < len(pipe.written) < len(request) / 2
    while len(pipe.written) < len(request):
        pipe.drain()
    assert bytes(pipe.written) == request


def test_an_answer_before_the_request_is_out_is_heard_and_ends_the_connection(recorder):
    connection, _ = open_connection(recorder, Pipe(room=1))
    connection.ask(bytes(5_000_000))
    connection.data_received(http(429))

    assert recorder.answers == [(429, b"")]
    assert recorder.lost == 1


def test_a_server_that_wants_to_close_is_heard_first(recorder):
    connection, _ = open_connection(recorder)
    connection.ask(b"question")
    connection.data_received(http(200, b"last", "Connection: close"))

    assert recorder.answers == [(200, b"last")]
    assert recorder.lost == 1
    assert not connection.is_open


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
def test_a_damaged_answer_ends_the_connection_unheard(recorder, damaged):
    connection, _ = open_connection(recorder)
    connection.ask(b"question")
    connection.data_received(damaged)

    assert recorder.answers == []
    assert recorder.lost == 1


def test_what_comes_after_the_end_is_not_heard(recorder):
    connection, _ = open_connection(recorder)
    connection.ask(b"question")
    connection.abort()
    connection.data_received(http(200))

    assert recorder.answers == []
    assert recorder.lost == 1
