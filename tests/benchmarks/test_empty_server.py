"""The server whose handlers do nothing, by both protocols."""

import grpc
import httpx2
import pytest

from benchmarks.empty_server import start_empty_server
from benchmarks.protocols import read_cpu_s


@pytest.fixture(scope="module")
def server():
    with start_empty_server(5000) as server:
        yield server


def test_every_request_has_the_same_answer(server):
    answer = httpx2.post(server.url.join("/v2/models/any/infer"), content=bytes(100_000))

    assert (answer.status_code, answer.content) == (200, bytes(5000))


def test_every_call_has_the_same_answer(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert channel.unary_unary("/any.Service/Method")(bytes(100_000), timeout=30) == bytes(5000)


def test_its_processor_time_is_told(server):
    assert read_cpu_s(server.url) > 0
