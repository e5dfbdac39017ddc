"""Health over gRPC, asked for with the stub of grpcio-health-checking."""

import threading
from contextlib import ExitStack, contextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from lacuna.errors import InvalidGraphError
from service.engine.lifecycle.repository import ModelRepository
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.rpc.health import MAX_WATCHERS
from service.runtime.fake import FakeRuntime
from tests.support.apps import load_fake, make_repository_folder, make_services
from tests.support.rpc import fail, serve_rpc
from tests.support.waiting import wait_until

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
KEYS = AccessControl(KeyRing(["a-client-key-0001"]))


@contextmanager
def serve(root, load=load_fake, *models, **options):
    """Run a server and give a stub of its health, and its services."""
    repository = ModelRepository(make_repository_folder(root, *models), load)
    services = make_services(repository, access_control=KEYS)
    with serve_rpc(services, **options) as address, grpc.insecure_channel(address) as channel:
        yield health_pb2_grpc.HealthStub(channel), services


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("models")) as (stub, _):
        yield stub


def check(stub, name=""):
    request = HealthCheckRequest(service=name)
    return stub.Check(request, timeout=30, wait_for_ready=True).status


def watch(stub, name=""):
    return stub.Watch(HealthCheckRequest(service=name), timeout=60)


@pytest.mark.parametrize("name", ["", "fake"])
def test_a_server_and_a_model_that_serve_say_so_without_a_key(stub, name):
    assert check(stub, name) == SERVING
    assert next(watch(stub, name)).status == SERVING


def test_a_model_that_there_is_not_is_not_found_and_watched_as_unknown(stub):
    error = fail(check, stub, "other")

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "not other" in error.details()
    assert next(watch(stub, "other")).status == UNKNOWN


def test_watchers_are_told_of_loading_serving_and_draining(tmp_path):
    go = threading.Event()

    def load(_):
        assert go.wait(30)
        return FakeRuntime()

    with serve(tmp_path, load, wait=False) as (stub, services):
        assert check(stub) == check(stub, "fake") == NOT_SERVING
        watched = [watch(stub), watch(stub, "fake")]
        statuses = [[next(answers).status] for answers in watched]
        go.set()
        for answers, seen in zip(watched, statuses, strict=True):
            seen.append(next(answers).status)
        assert check(stub) == check(stub, "fake") == SERVING
        # A request is running, so the server drains, and does not end yet.
        with services.gate.reserve(0):
            services.gate.close()
            for answers, seen in zip(watched, statuses, strict=True):
                # The stream ends after the last status.
                seen += [answer.status for answer in answers]
            assert check(stub) == check(stub, "fake") == NOT_SERVING

    assert statuses == [[NOT_SERVING, SERVING, NOT_SERVING]] * 2


def test_a_model_that_failed_does_not_serve_while_another_does(tmp_path):
    def load(folder):
        if folder.parent.name == "bad":
            raise InvalidGraphError("saved_model.pb must be one that loads")
        return FakeRuntime()

    with serve(tmp_path, load, "bad/1", "good/1", wait=False) as (stub, _):
        assert wait_until(lambda: check(stub, "good") == SERVING)
        assert check(stub, "bad") == check(stub) == NOT_SERVING


def test_watchers_are_limited_and_one_that_leaves_makes_room(tmp_path):
    with serve(tmp_path) as (stub, _), ExitStack() as watchers:
        calls = [watch(stub) for _ in range(MAX_WATCHERS)]
        for call in calls:
            watchers.callback(call.cancel)
            assert next(call).status == SERVING

        error = fail(next, watch(stub))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert f"at most {MAX_WATCHERS}" in error.details()
        assert check(stub) == SERVING

        calls[0].cancel()
        assert wait_until(lambda: not isinstance(_try(stub), grpc.RpcError))


def _try(stub):
    call = watch(stub)
    try:
        return next(call)
    except grpc.RpcError as error:
        return error
    finally:
        call.cancel()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xff" * 9, grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x0a\x01\xff", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x0a\xa0\x8d\x06" + b"x" * 100_000, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (b"\x0a\x90\x4e" + b"x" * 10_000, grpc.StatusCode.NOT_FOUND),
    ],
    ids=["no message", "no UTF-8", "too long", "a long name"],
)
def test_a_malformed_check_is_refused(tmp_path, message, code):
    root = make_repository_folder(tmp_path)
    with (
        serve_rpc(make_services(ModelRepository(root, load_fake))) as address,
        grpc.insecure_channel(address) as channel,
    ):
        error = fail(channel.unary_unary("/grpc.health.v1.Health/Check"), message, timeout=30)

        assert error.code() is code
        assert len(error.details()) < 400
        assert check(health_pb2_grpc.HealthStub(channel)) == SERVING
