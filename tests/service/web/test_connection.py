"""Clients that are slow, or send what nobody asked for, on a real socket."""

import socket
import time
from contextlib import contextmanager

import httpx2
import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from service.listening.body_limits import BodyLimits
from service.web.connection import Connection, ConnectionTimeouts
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.live import find_address, run_server
from tests.support.sockets import connect, make_head, read_answer, read_to_end
from tests.support.waiting import wait_until

PATIENCE = ConnectionTimeouts(head_s=1, head_bytes=16_384, idle_s=1, answer_s=3.0, keep_alive_s=1)
IMAGE = write_npy(np.full((9, 9), 200, np.uint8))
LARGE = write_npy(np.zeros((1500, 1500), np.uint8))


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    return make_services(load_repository(root), BodyLimits(50_000_000, idle_s=1, body_s=3))


@pytest.fixture(scope="module")
def server(services):
    with run_server(services, timeouts=PATIENCE) as server:
        yield server


@pytest.fixture
def address(server):
    return find_address(server)


def count_outcome(services, outcome):
    text = services.telemetry.render().decode()
    (count,) = [
        line.split()[-1]
        for line in text.splitlines()
        if line.startswith("lacuna_requests_total{") and f'outcome="{outcome}"' in line
    ] or ["0"]
    return float(count)


def test_a_connection_that_asks_for_nothing_is_closed(address):
    with connect(address) as connection:
        assert read_to_end(connection).startswith(b"HTTP/1.1 408 ")


class Starved(Connection):
    """Connection without memory for the bodies of requests."""

    def on_body(self, body):
        raise MemoryError


def test_a_body_that_there_is_no_memory_for_is_refused_until_later(tmp_path):
    services = make_services(load_repository(make_repository_folder(tmp_path)))
    with run_server(services) as server:
        address = find_address(server)
        server.config.http_protocol_class = Starved
        with connect(address) as connection:
            connection.sendall(make_head(Content_Length=len(IMAGE)) + IMAGE)
            status, headers, body = read_answer(connection)

    assert (status, body) == (503, b"there must be memory to take in the request; it has run out")
    assert int(headers["retry-after"]) >= 1


def test_a_head_that_drips_is_given_up(address):
    with connect(address) as connection:
        answer = b""
        connection.settimeout(0.1)
        for byte in make_head(X_Slow="x" * 500):
            try:
                connection.sendall(bytes([byte]))
                answer = connection.recv(4096)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if answer:
                break

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_the_second_head_of_a_connection_is_bounded_as_well(address):
    with connect(address) as connection:
        connection.sendall(make_head("GET", "/livez"))
        assert read_answer(connection)[0] == 200
        connection.sendall(b"GET /livez HT")
        assert read_to_end(connection).startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_without_a_word(address):
    with connect(address) as connection:
        connection.sendall(make_head("GET", "/livez"))
        assert read_answer(connection)[0] == 200
        assert read_to_end(connection) == b""


@pytest.mark.parametrize("endless", [b"X-Long: " + b"x" * 4000, b"X-Many: x\r\n" * 400])
def test_a_head_without_an_end_is_refused(address, endless):
    with connect(address) as connection:
        connection.sendall(make_head()[:-2] + endless)
        received = b""
        try:
            for _ in range(100):
                connection.sendall(endless)
        except ConnectionError:
            pass
        received = read_to_end(connection)

    assert received.startswith(b"HTTP/1.1 431 ") or received == b""  # the reset may overtake it


def test_headers_behind_a_chunked_body_are_none(address):
    with connect(address) as connection:
        connection.sendall(make_head(Transfer_Encoding="chunked"))
        connection.sendall(b"%x\r\n%s\r\n0\r\n" % (len(IMAGE), IMAGE))
        connection.sendall(b"Accept: text/html\r\n" * 1000 + b"\r\n")
        assert read_answer(connection)[0] == 200


def test_a_body_that_stops_is_given_up_with_408_and_its_connection_closed(address):
    with connect(address) as connection:
        connection.sendall(make_head(Content_Length=1000) + b"x" * 10)
        status, headers, body = read_answer(connection)
        assert read_to_end(connection) == b""

    assert (status, headers["connection"]) == (408, "close")
    assert b'"code":"slow_body"' in body


def test_a_body_that_drips_is_given_up(address):
    with connect(address) as connection:
        connection.sendall(make_head(Content_Length=1000))
        began_s = time.monotonic()
        connection.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() - began_s < 10:
            connection.sendall(b"x")
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408 ")


@contextmanager
def ask_for_much(server):
    """Ask for 27 MB of probabilities; give the socket once they have begun to come."""
    head = make_head(Accept="application/zip", Content_Length=len(LARGE))
    with connect(find_address(server)) as connection:
        connection.sendall(head + LARGE)
        assert connection.recv(16, socket.MSG_PEEK)
        yield connection


def test_a_client_that_does_not_take_its_answer_is_dropped(server):
    with ask_for_much(server) as connection:
        assert wait_until(lambda: not server.server_state.connections)
        received = read_to_end(connection)  # what was on its way

    assert received.startswith(b"HTTP/1.1 200 ")
    assert len(received) < 20_000_000


def test_a_client_that_takes_its_answer_in_sips_is_dropped_in_the_end(server):
    began_s = time.monotonic()
    with ask_for_much(server) as connection:

        def sip():
            connection.recv(400_000, socket.MSG_WAITALL)
            return wait_until(lambda: not server.server_state.connections, 0.1)

        assert wait_until(sip, PATIENCE.answer_s + 5)
        assert time.monotonic() - began_s > PATIENCE.answer_s


def test_a_client_that_leaves_while_sending_is_counted_as_gone(address, services):
    before = count_outcome(services, "gone")
    with connect(address) as connection:
        connection.sendall(make_head(Content_Length=1000) + b"x")

    assert wait_until(lambda: count_outcome(services, "gone") == before + 1)
    assert count_outcome(services, "failed") == 0
    assert wait_until(lambda: services.gate.pending == 0)


def test_others_notice_nothing(address):
    with connect(address) as silent, connect(address) as dripping:
        dripping.sendall(make_head(Content_Length=1000) + b"x")
        for _ in range(5):
            response = httpx2.post(f"http://{address}/v1/segment", content=IMAGE)
            assert response.status_code == 200
        del silent
