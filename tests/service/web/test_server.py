"""How the server goes away, and what it serves on a port of its own."""

import logging
from contextlib import contextmanager

import httpx2
import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from service.runtime.fake import FakeRuntime
from service.web.services import OperatorRoutes
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.live import find_address, run_server
from tests.support.runtimes import SEVEN, HeldOnSevens
from tests.support.sockets import connect, make_head, read_answer, read_to_end
from tests.support.waiting import wait_until

SEVENS = write_npy(np.full((9, 9), SEVEN, np.uint8))
IMAGE = write_npy(np.full((9, 9), 200, np.uint8))


def make_live_parts(root, runtime=None, **options):
    runtime = runtime or FakeRuntime()
    repository = load_repository(make_repository_folder(root), lambda _: runtime)
    return make_services(repository, **options)


@contextmanager
def serve_one_held_request(root, **options):
    """Give a server, its address and a request that is being answered, and hold that up."""
    runtime = HeldOnSevens()
    with run_server(make_live_parts(root, runtime), **options) as server:
        address = find_address(server)
        with connect(address, 60) as connection:
            connection.sendall(make_head(Content_Length=len(SEVENS)) + SEVENS)
            assert runtime.begun.wait(30)
            yield server, address, connection, runtime
            runtime.go.set()


def get(address, path):
    return httpx2.get(f"http://{address}{path}")


def wait_for_end(server, seconds=10):
    return wait_until(lambda: not server.servers[0].sockets, seconds)


def test_while_it_drains_the_server_finishes_what_it_has_and_begins_nothing(tmp_path):
    with serve_one_held_request(tmp_path) as (server, address, connection, runtime):
        server.drain()
        refused = httpx2.post(f"http://{address}/v1/segment", content=IMAGE)
        ready, alive = get(address, "/readyz"), get(address, "/livez")
        oip = get(address, "/v2/health/ready")
        runtime.go.set()
        status, headers, _ = read_answer(connection)
        assert read_to_end(connection) == b""
        assert wait_for_end(server)

    assert (status, headers["connection"]) == (200, "close")
    assert not server.has_cut_off
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["connection"] == "close"
    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert oip.status_code == 503
    assert alive.status_code == 200


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/v1/models/fake:predict", {"instances": [[[1]]]}),
        ("/v2/models/fake/infer", {"inputs": []}),
    ],
)
def test_every_protocol_is_refused_while_it_drains(tmp_path, path, content):
    with serve_one_held_request(tmp_path) as (server, address, *_):
        server.drain()
        refused = httpx2.post(f"http://{address}{path}", json=content)

    assert (refused.status_code, list(refused.json())) == (503, ["error"])
    assert "retry-after" in refused.headers


def test_a_body_that_is_still_coming_when_the_drain_begins_is_answered(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with run_server(make_live_parts(tmp_path)) as server:
        address = find_address(server)
        with connect(address) as connection:
            connection.sendall(make_head(Content_Length=len(IMAGE), Expect="100-continue"))
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
            server.drain()
            assert wait_until(lambda: "draining" in caplog.messages)
            connection.sendall(IMAGE)
            assert read_answer(connection)[0] == 200


def test_an_idle_server_ends_at_once(tmp_path):
    with run_server(make_live_parts(tmp_path), drain_s=60) as server:
        find_address(server)
        server.drain()
        assert wait_for_end(server, 5)
    assert not server.has_cut_off


def test_what_is_not_done_in_time_is_cut_off_and_told_so(tmp_path):
    with serve_one_held_request(tmp_path, drain_s=0.5) as (server, _, connection, runtime):
        server.drain()
        status, headers, body = read_answer(connection)
        runtime.go.set()

    assert (status, headers["retry-after"]) == (503, "5")
    assert b'"code":"not_ready"' in body
    assert server.has_cut_off


def test_a_second_signal_ends_the_process_at_once(tmp_path):
    ended = []
    services = make_live_parts(tmp_path, HeldOnSevens())
    with run_server(services, end=ended.append) as server:
        find_address(server)
        with services.gate.reserve(0):
            server.handle_exit(15, None)
            assert ended == []
            server.handle_exit(2, None)
            assert ended == [130]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_once_it_is_ready_it_names_the_page_to_open_once(tmp_path, caplog, host):
    caplog.set_level(logging.INFO)
    ready = []
    with run_server(make_live_parts(tmp_path), host=host, is_ready=lambda: bool(ready)) as server:
        _, port = find_address(server).rsplit(":", 1)
        assert not any("Ready" in message for message in caplog.messages)
        ready.append(True)
        assert wait_until(lambda: f"Ready: open http://127.0.0.1:{port}" in caplog.messages)
    assert sum("Ready" in message for message in caplog.messages) == 1


def test_metrics_can_have_a_port_of_their_own(tmp_path):
    services = make_live_parts(tmp_path, operator_routes=OperatorRoutes(metrics=False))
    with run_server(services, metrics_apart=True) as server:
        address, apart = find_address(server), find_address(server, ready=False, listener=1)

        assert httpx2.post(f"http://{address}/v1/segment", content=IMAGE).status_code == 200
        assert get(address, "/metrics").status_code == 404
        scraped = get(apart, "/metrics")
        elsewhere = get(apart, "/v1/models")
        server.drain()

    assert 'lacuna_requests_total{model="fake",outcome="ok",protocol="native"} 1.0' in scraped.text
    assert scraped.headers["x-content-type-options"] == "nosniff"
    assert elsewhere.status_code == 404
