import logging
import queue
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack

import grpc
import numpy as np
import pytest

from lacuna.errors import ConfigurationError
from service.config import read_settings
from service.rpc.server import RpcServer, list_options
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.live import find_address, run_server
from tests.support.rpc import OIP, connect, make_infer
from tests.support.waiting import wait_until


@pytest.fixture
def services(tmp_path):
    return make_services(load_repository(make_repository_folder(tmp_path)))


def test_a_taken_port_is_an_error_where_it_was_asked_for(services):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} of 127.0.0.1 is in use"):
            RpcServer(services, port=port).open()


def test_a_taken_port_that_nobody_asked_for_leaves_http_alone(services, caplog):
    caplog.set_level(logging.WARNING)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        rpc = RpcServer(services, port=taken.getsockname()[1], is_wanted=False)
        with run_server(services, other=rpc) as server:
            assert find_address(server)

    assert not rpc.ports
    (warning,) = [record for record in caplog.records if record.message == "no gRPC"]
    assert "is in use" in warning.reason


def test_a_call_whose_answer_is_not_taken_ends_with_its_connection():
    options = dict(list_options(1000))

    # gRPC's default is a grace without an end.
    assert options["grpc.max_connection_age_ms"] == 5 * 60_000
    assert options["grpc.max_connection_age_grace_ms"] == 60 * 60_000


@pytest.mark.parametrize("name", ["LACUNA_PORT", "LACUNA_METRICS_PORT"])
def test_grpc_needs_a_port_of_its_own(monkeypatch, name):
    monkeypatch.setenv(name, "9100")
    monkeypatch.setenv("LACUNA_GRPC_PORT", "9100")

    with pytest.raises(ConfigurationError, match=f"LACUNA_GRPC_PORT must not be {name}"):
        read_settings()


@pytest.mark.parametrize("port", ["of", "-1", "70000"])
def test_a_port_is_a_number_or_off(monkeypatch, port):
    monkeypatch.setenv("LACUNA_GRPC_PORT", port)

    with pytest.raises(ConfigurationError, match="GRPC_PORT"):
        read_settings()


@pytest.mark.parametrize("missing", ["grpc", "grpc_reflection"])  # TensorFlow brings grpc alone
def test_without_grpc_and_protobuf_the_server_is_assembled_and_says_so(missing):
    code = """
import logging, sys
sys.modules["grpc"] = sys.modules["google.protobuf"] = None
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s %(reason)s")
from service import assembly
from service.config import read_settings
from lacuna.errors import MissingExtraError
import importlib.util
importlib.util.find_spec = lambda name: None if name == sys.argv[1] else name
assert assembly.make_rpc_listener(read_settings(), None) is None
try:
    assembly.make_rpc_listener(read_settings(grpc_port=0), None)
except MissingExtraError as error:
    print(error.message)
"""
    result = subprocess.run(
        [sys.executable, "-c", code, missing], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    told, refused = result.stdout.splitlines()
    assert told.startswith("no gRPC gRPC needs the extra `grpc`")
    assert "LACUNA_GRPC_PORT=off does without it" in refused


_SERVER = """
import sys
from pathlib import Path
from service.rpc.server import RpcServer
from service.web.app import make_app
from service.web.server import Server
from tests.support.apps import load_repository, make_services
from tests.support.live import find_address
import threading

services = make_services(load_repository(Path(sys.argv[1])))
rpc = RpcServer(services, port=0)
server = Server(make_app(services), services.gate, port=0, other=rpc)

def tell():
    find_address(server, seconds=60)
    print(rpc.ports[0], flush=True)

threading.Thread(target=tell, daemon=True).start()
server.run()
sys.exit(int(server.has_cut_off))
"""


def test_sigterm_ends_open_streams_and_the_process_with_status_0(tmp_path):
    root = make_repository_folder(tmp_path)
    requests = queue.SimpleQueue()
    command = [sys.executable, "-c", _SERVER, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = process.stdout.readline().strip()
        with connect(f"127.0.0.1:{port}") as stub:
            answers = stub.find("ModelStreamInfer")(iter(requests.get, None))
            requests.put(make_infer(np.zeros((1, 8, 8, 1), np.uint8), id="one"))
            assert next(answers).infer_response.id == "one"
            process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.RpcError) as raised:
                next(answers)
            requests.put(None)
        status = process.wait(30)

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert status == 0


@pytest.mark.parametrize("is_read", [True, False])
def test_an_answer_that_is_not_sent_in_the_time_to_drain_is_cut_off_and_told_so(
    tmp_path, caplog, is_read
):
    caplog.set_level(logging.INFO)
    services = make_services(load_repository(make_repository_folder(tmp_path)))
    rpc = RpcServer(services, port=0)
    with ExitStack() as stack:
        server = stack.enter_context(run_server(services, other=rpc, drain_s=1))
        find_address(server)
        address, options = f"127.0.0.1:{rpc.ports[0]}", [("grpc.max_receive_message_length", -1)]
        channel = stack.enter_context(grpc.insecure_channel(address, options))
        # The client of a stream takes no more than a window until it reads.
        message = make_infer(np.zeros((1, 800, 800, 1), np.uint8)).SerializeToString()
        answers = channel.unary_stream(f"/{OIP}/ModelInfer")(message)
        if is_read:
            assert len(next(answers)) > 800 * 800
        assert wait_until(lambda: "request" in caplog.messages)
        server.drain()
        assert wait_until(lambda: server.should_exit)
        assert wait_until(lambda: is_read or server.has_cut_off)

    assert server.has_cut_off is not is_read
