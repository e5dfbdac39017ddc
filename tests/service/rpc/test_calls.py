import logging
import socket
from contextlib import contextmanager

import grpc
import numpy as np
import pytest

from service.core.admission import AdmissionPolicy
from service.listening.access import AccessControl
from service.listening.body_limits import BodyLimits
from service.listening.keys import KeyRing
from service.rpc.call import read_peer
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.rpc import (
    OIP,
    connect,
    fail,
    make_infer,
    name_outputs,
    read_trailers,
    serve_rpc,
)
from tests.support.runtimes import SEVEN, FailingOnSevens, HeldOnSevens
from tests.support.tracing import KeptTracing
from tests.support.waiting import wait_until

IMAGE = np.full((1, 9, 11, 1), 200, np.uint8)
SEVENS = np.full((1, 9, 11, 1), SEVEN, np.uint8)
LARGE = np.zeros((1, 64, 64, 1), np.uint8)
KEY, ADMIN = "a-client-key-0001", "the-key-of-an-admin"
CODES = grpc.StatusCode


@pytest.fixture
def serve(tmp_path):
    """A function that makes services of a runtime."""
    root = make_repository_folder(tmp_path)

    def make(runtime=None, **options):
        repository = load_repository(root, lambda _: runtime) if runtime else load_repository(root)
        return make_services(repository, **options)

    return make


def call_with(stub, message=None, method="ModelInfer", **options):
    """Call a method, and return its answer and its trailers."""
    given = make_infer(IMAGE) if message is None else message
    answer, call = stub.find(method).with_call(given, timeout=30, **options)
    return answer, read_trailers(call.trailing_metadata())


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", f"Bearer {KEY}")],
        [("authorization", f"bearer  {KEY} ")],
        [("x-api-key", KEY)],
        [("x-api-key", ADMIN)],
    ],
)
def test_a_call_with_a_key_is_answered(serve, metadata):
    services = serve(access_control=AccessControl(KeyRing([KEY], ADMIN)))
    with serve_rpc(services) as address, connect(address) as stub:
        assert call_with(stub, metadata=metadata)[0].model_name == "fake"


def test_a_call_without_a_known_key_is_refused_unless_it_asks_for_health(serve):
    services = serve(access_control=AccessControl(KeyRing([KEY])))
    with serve_rpc(services) as address, connect(address) as stub:
        errors = [
            fail(call_with, stub),
            fail(call_with, stub, metadata=[("x-api-key", KEY.upper())]),
            fail(stub.call, "ServerMetadata"),
            fail(lambda: list(stub.find("ModelStreamInfer")(iter([make_infer(IMAGE)])))),
        ]
        assert stub.call("ServerLive").live
        assert stub.call("ServerReady").ready

    for error in errors:
        assert error.code() is CODES.UNAUTHENTICATED
        assert KEY not in error.details().lower()


@pytest.mark.parametrize(
    ("keys", "key", "code"),
    [
        (KeyRing(), None, CODES.PERMISSION_DENIED),
        (KeyRing([], ADMIN), None, CODES.UNAUTHENTICATED),
        (KeyRing([KEY], ADMIN), KEY, CODES.PERMISSION_DENIED),
    ],
)
@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
def test_control_needs_the_admin_key(serve, keys, key, code, method):
    with (
        serve_rpc(serve(access_control=AccessControl(keys))) as address,
        connect(address) as stub,
    ):
        metadata = [("x-api-key", key)] if key else []
        assert fail(stub.call, method, metadata=metadata).code() is code


def test_the_admin_unloads_and_loads_a_model(serve):
    admin = {"metadata": [("x-api-key", ADMIN)]}
    services = serve(access_control=AccessControl(KeyRing([], ADMIN)))
    with serve_rpc(services) as address, connect(address) as stub:

        def control(method, name="fake", **parameters):
            message = find(method)(model_name=name)
            for parameter, value in parameters.items():
                message.parameters[parameter].string_param = value
            return stub.call(f"RepositoryModel{method}", message, **admin)

        def find(method):
            return stub.make_message(f"RepositoryModel{method}")

        control("Unload")
        (gone,) = stub.call("RepositoryIndex").models
        refused = fail(stub.call, "ModelInfer", make_infer(IMAGE))
        wrong = fail(control, "Load", config="{}")
        unknown = fail(control, "Load", "nobody")
        control("Load")
        (back,) = stub.call("RepositoryIndex").models

    assert (gone.name, gone.state, gone.reason) == ("fake", "UNAVAILABLE", "unloaded")
    assert refused.code() in (CODES.UNAVAILABLE, CODES.NOT_FOUND)
    assert wrong.code() is CODES.INVALID_ARGUMENT
    assert unknown.code() is CODES.NOT_FOUND
    assert back.state == "READY"


def test_metadata_config_and_statistics_are_those_of_http(serve):
    with serve_rpc(serve()) as address, connect(address) as stub:
        stub.call("ModelInfer", make_infer(IMAGE))
        model = stub.call("ModelMetadata", stub.make_message("ModelMetadata")(name="fake"))
        config = stub.call("ModelConfig", stub.make_message("ModelConfig")(name="fake")).config
        (stats,) = stub.call("ModelStatistics").model_stats
        server = stub.call("ServerMetadata")

    assert server.name == "lacuna"
    assert "statistics" in server.extensions
    assert [tensor.name for tensor in model.inputs] == ["image", "mask"]
    assert [list(tensor.shape) for tensor in model.inputs] == [[-1, -1, -1, 1], [-1, -1, -1, 1]]
    assert list(model.versions) == ["1"]
    assert config.max_batch_size > 0
    assert [output.name for output in config.output][:2] == ["labels", "probabilities"]
    assert (stats.name, stats.inference_count) == ("fake", 1)
    assert stats.inference_stats.success.count == 1
    assert stats.inference_stats.success.ns > 0


def test_an_answer_tells_its_id_timings_and_computed_pixels(serve):
    with serve_rpc(serve()) as address, connect(address) as stub:
        _, given = call_with(stub, metadata=[("x-request-id", "mine-7")])
        _, made = call_with(stub, metadata=[("x-request-id", "not usable")])

    assert given["x-request-id"] == "mine-7"
    assert "infer;dur=" in given["server-timing"]
    assert int(given["lacuna-computed-pixels"]) >= 99
    assert made["x-request-id"] not in ("", "not usable")


def test_a_call_is_logged_in_one_line_and_health_is_quiet(serve, caplog):
    caplog.set_level(logging.INFO)
    services = serve(access_control=AccessControl(KeyRing([KEY])))
    with serve_rpc(services) as address, connect(address) as stub:
        call_with(stub, metadata=[("x-api-key", KEY)])
        fail(stub.call, "ModelInfer", make_infer(IMAGE, model_name="nobody"))
        stub.call("ServerLive")

    good, bad = [record for record in caplog.records if record.name == "service.rpc.answering"]
    assert (good.method, good.path) == ("gRPC", f"/{OIP}/ModelInfer")
    assert (good.grpc_status, good.client) == ("OK", "127.0.0.1")
    assert (good.model, good.height, good.width) == ("fake", 9, 11)
    assert good.key
    assert good.sent_bytes > 99
    assert (bad.grpc_status, bad.code) == ("UNAUTHENTICATED", "unauthenticated")


@pytest.mark.parametrize(
    ("trusted", "forwarded", "client"),
    [
        (["127.0.0.1"], ["203.0.113.7"], "203.0.113.7"),
        (["127.0.0.0/8"], ["1.1.1.1, 203.0.113.7,127.0.0.9"], "203.0.113.7"),
        (["127.0.0.1"], ["nobody"], "127.0.0.1"),
        (["10.0.0.1"], ["203.0.113.7"], "127.0.0.1"),
        ([], ["203.0.113.7"], "127.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_tells_the_address_of_a_client(
    serve, caplog, trusted, forwarded, client
):
    caplog.set_level(logging.INFO)
    with serve_rpc(serve(), trusted=trusted) as address, connect(address) as stub:
        call_with(stub, metadata=[("x-forwarded-for", value) for value in forwarded])

    (line,) = [record for record in caplog.records if record.name == "service.rpc.answering"]
    assert line.client == client


@contextmanager
def begin_by_hand(address, key):
    """Begin a call with a key of any bytes."""

    def frame(kind, flags, stream, content=b""):
        head = len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        return head + content

    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":authority": b"test",
        b":path": f"/{OIP}/ServerMetadata".encode(),
        b"content-type": b"application/grpc",
        b"te": b"trailers",
        b"authorization": b"Bearer " + key,
    }
    block = b"".join(
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in fields.items()
    )
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
        connection.sendall(frame(1, 4, 1, block) + frame(0, 1, 1, bytes(5)))
        assert connection.recv(1)
        yield


def test_a_key_of_other_bytes_is_in_no_log(serve, caplog):
    key = b"a-key-that-nobody-may-read\xe9"
    services = serve(access_control=AccessControl(KeyRing([KEY])))
    with serve_rpc(services) as address, begin_by_hand(address, key), connect(address) as stub:
        for _ in range(3):
            stub.call("ServerLive")

    assert "nobody-may-read" not in caplog.text


def test_calls_are_counted_under_their_own_protocol(serve):
    services = serve()
    with serve_rpc(services) as address, connect(address) as stub:
        stub.call("ModelInfer", make_infer(IMAGE))
        fail(stub.call, "ModelInfer", make_infer(IMAGE, model_name="nobody"))
    metrics = services.telemetry.render().decode()

    counted = 'lacuna_requests_total{model="%s",outcome="%s",protocol="oip-grpc"} 1.0'
    assert counted % ("fake", "ok") in metrics
    assert counted % ("", "invalid") in metrics


def test_a_span_of_a_call_continues_the_trace_of_its_client(serve):
    tracing = KeptTracing()
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    traceparent = f"00-{trace_id}-00f067aa0ba902b7-01"
    with serve_rpc(serve(tracing=tracing)) as address, connect(address) as stub:
        _, trailers = call_with(stub, metadata=[("traceparent", traceparent)])
        stub.call("ServerReady")
        assert wait_until(lambda: f"{OIP}/ModelInfer" in tracing.spans)

    span = tracing.spans[f"{OIP}/ModelInfer"]
    assert f"{span.context.trace_id:032x}" == trace_id
    assert span.attributes["rpc.method"] == "ModelInfer"
    assert span.attributes["lacuna.protocol"] == "oip-grpc"
    assert trailers["traceresponse"].split("-")[1] == trace_id
    assert not any("ServerReady" in ended.name for ended in tracing.ended)
    assert {"decode", "infer"} <= set(tracing.spans)


def test_a_deadline_ends_a_call_and_its_work(serve):
    runtime = HeldOnSevens()
    services = serve(runtime)
    with serve_rpc(services) as address, connect(address) as stub:
        error = fail(stub.find("ModelInfer"), make_infer(SEVENS), timeout=0.5)
        assert wait_until(lambda: services.gate.pending == 0)
        runtime.go.set()

    assert error.code() is CODES.DEADLINE_EXCEEDED


def test_a_deadline_of_zero_has_passed(serve):
    services = serve()
    with serve_rpc(services) as address, connect(address) as stub:
        error = fail(stub.find("ModelInfer"), make_infer(IMAGE), timeout=0)
        assert stub.call("ModelInfer", make_infer(IMAGE)).model_name

    assert error.code() is CODES.DEADLINE_EXCEEDED


def test_the_smaller_of_timeout_and_deadline_counts(serve):
    runtime = HeldOnSevens()
    services = serve(runtime)
    with serve_rpc(services) as address, connect(address) as stub:
        held = stub.find("ModelInfer").future(make_infer(SEVENS), timeout=60)
        assert runtime.begun.wait(20)
        request = make_infer(IMAGE)
        request.parameters["timeout"].int64_param = 200_000
        error = fail(stub.call, "ModelInfer", request)
        runtime.go.set()
        held.result()

    assert error.code() in (CODES.DEADLINE_EXCEEDED, CODES.RESOURCE_EXHAUSTED)


def test_a_cancelled_call_leaves_the_queue(serve, caplog):
    caplog.set_level(logging.INFO)
    runtime = HeldOnSevens()
    services = serve(runtime)
    with serve_rpc(services) as address, connect(address) as stub:
        held = stub.find("ModelInfer").future(make_infer(SEVENS), timeout=60)
        assert runtime.begun.wait(20)
        waiting = stub.find("ModelInfer").future(make_infer(IMAGE), timeout=60)
        dispatcher = services.exchange.pipeline.segmenter.dispatcher
        assert wait_until(lambda: dispatcher.count_waiting() == 1)
        waiting.cancel()
        assert wait_until(lambda: services.gate.pending == 1)
        assert wait_until(lambda: dispatcher.count_waiting() == 0)
        runtime.go.set()
        assert held.result().model_name == "fake"

    (line,) = [record for record in caplog.records if hasattr(record, "outcome")]
    assert (line.outcome, line.grpc_status) == ("client gone", "CANCELLED")


def test_too_much_load_is_refused_with_the_time_of_a_retry(serve):
    runtime = HeldOnSevens()
    services = serve(runtime, admission=AdmissionPolicy(max_pending=1, max_share=1))
    with serve_rpc(services) as address, connect(address) as stub:
        held = stub.find("ModelInfer").future(make_infer(SEVENS), timeout=60)
        assert runtime.begun.wait(20)
        error = fail(stub.call, "ModelInfer", make_infer(IMAGE))
        runtime.go.set()
        held.result()

    trailers = read_trailers(error.trailing_metadata())
    assert error.code() is CODES.RESOURCE_EXHAUSTED
    assert trailers["code"] == "overloaded"
    assert int(trailers["retry-after"]) >= 1


def test_a_message_that_does_not_come_in_time_ends_its_call(serve):
    services = serve(body_limits=BodyLimits(body_s=0.2))
    with serve_rpc(services) as address, connect(address) as stub:
        infer = stub.channel.stream_unary(f"/{OIP}/ModelInfer")

        def send_nothing():
            wait_until(lambda: False, 5)
            yield b""

        error = fail(infer, send_nothing(), timeout=30)
        assert services.gate.pending == 0

    assert error.code() is CODES.DEADLINE_EXCEEDED
    assert read_trailers(error.trailing_metadata())["code"] == "slow_body"


def test_a_model_that_fails_is_an_internal_error(serve):
    with serve_rpc(serve(FailingOnSevens())) as address, connect(address) as stub:
        error = fail(stub.call, "ModelInfer", make_infer(SEVENS))

    assert error.code() is CODES.INTERNAL
    assert read_trailers(error.trailing_metadata())["code"] == "inference_failed"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_get_the_same_answers(serve, compression):
    with serve_rpc(serve()) as address, connect(address) as stub:
        plain = stub.call("ModelInfer", make_infer(LARGE))
        packed = stub.call(
            "ModelInfer",
            make_infer(LARGE),
            compression=compression,
            metadata=[("accept-encoding", "gzip")],
        )

    assert packed == plain


def test_while_the_server_drains_calls_are_refused_and_admitted_ones_answered(serve):
    runtime = HeldOnSevens()
    services = serve(runtime)
    with serve_rpc(services) as address, connect(address) as stub:
        held = stub.find("ModelInfer").future(make_infer(SEVENS), timeout=60)
        assert runtime.begun.wait(20)
        services.gate.close()
        error = fail(stub.call, "ModelInfer", make_infer(IMAGE))
        ready = stub.call("ServerReady").ready
        model = stub.call("ModelReady", stub.make_message("ModelReady")(name="fake")).ready
        runtime.go.set()
        assert held.result().model_name == "fake"

    assert error.code() is CODES.UNAVAILABLE
    assert read_trailers(error.trailing_metadata())["retry-after"] == "5"
    assert not ready
    assert not model


def test_who_names_labels_pays_for_labels_alone(serve):
    with serve_rpc(serve()) as address, connect(address) as stub:
        answer = stub.call("ModelInfer", name_outputs(make_infer(IMAGE), "labels"))

    assert [output.name for output in answer.outputs] == ["labels"]


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:50000", "127.0.0.1"),
        ("ipv6:%5B::1%5D:50000", "::1"),
        ("ipv6:[2001:db8::7]:50000", "2001:db8::7"),
        ("unix:/tmp/socket", ""),
        ("", ""),
    ],
)
def test_the_address_of_a_peer(peer, address):
    assert read_peer(peer) == address
