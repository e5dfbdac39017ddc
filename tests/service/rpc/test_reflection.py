"""Reflection, asked for with the client of grpcio-reflection."""

import threading
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from service.assembly import make_rpc_listener
from service.config import read_settings
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.rpc.reflection import NAMES
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.live import find_address, run_server
from tests.support.rpc import fail, serve_rpc

KEY = "a-client-key-0001"
SERVED = {
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "grpc.health.v1.Health",
}


@contextmanager
def serve(root, *, reflects=True, **options):
    """Run a server and give a channel to it."""
    services = make_services(load_repository(make_repository_folder(root)), **options)
    with (
        serve_rpc(services, reflects=reflects) as address,
        grpc.insecure_channel(address) as channel,
    ):
        yield channel


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("models")) as channel:
        yield channel


def ask(channel, service, *messages, **options):
    call = channel.stream_stream(f"/{service}/ServerReflectionInfo")
    return list(call(iter(messages), timeout=30, **options))


def test_the_services_and_their_messages_are_described(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)

    assert set(database.get_services()) == SERVED | set(NAMES)
    for name in SERVED:
        assert pool.FindServiceByName(name).methods
    tensor = pool.FindMessageTypeByName("tensorflow.TensorProto")
    assert tensor.fields_by_name["tensor_content"].number == 4


def test_both_names_of_the_service_give_the_same_answers(channel):
    list_services = b"\x3a\0"
    first, second = (ask(channel, name, list_services, list_services) for name in NAMES)

    assert first == second
    assert len(first) == 2
    assert b"inference.GRPCInferenceService" in first[0]


def test_a_symbol_that_there_is_not_is_said_in_the_stream(channel):
    with pytest.raises(KeyError):
        DescriptorPool(ProtoReflectionDescriptorDatabase(channel)).FindServiceByName("a.B")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xff" * 9, grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x0a\xa0\x8d\x06" + b"x" * 100_000, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=["no message", "too long"],
)
def test_a_malformed_request_is_refused(channel, message, code):
    assert fail(ask, channel, NAMES[0], message).code() is code
    assert ask(channel, NAMES[0], b"\x3a\0")


def test_reflection_needs_a_key_where_requests_do(tmp_path):
    with serve(tmp_path, access_control=AccessControl(KeyRing([KEY]))) as channel:
        error = fail(ask, channel, NAMES[0], b"\x3a\0")

        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert ask(channel, NAMES[0], b"\x3a\0", metadata=[("x-api-key", KEY)])


def test_reflection_may_be_turned_off(tmp_path):
    with serve(tmp_path, reflects=False) as channel:
        error = fail(ask, channel, NAMES[0], b"\x3a\0")

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("docs", [True, False])
def test_the_setting_of_the_documentation_is_that_of_reflection(monkeypatch, tmp_path, docs):
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(make_repository_folder(tmp_path)))
    monkeypatch.setenv("LACUNA_GRPC_PORT", "0")
    monkeypatch.setenv("LACUNA_DOCS", str(docs))
    services = make_services(load_repository(tmp_path))
    listener = make_rpc_listener(read_settings(), services)

    with run_server(services, other=listener) as server:
        find_address(server)
        with grpc.insecure_channel(f"127.0.0.1:{listener.ports[0]}") as channel:
            if docs:
                assert ask(channel, NAMES[0], b"\x3a\0")
            else:
                error = fail(ask, channel, NAMES[0], b"\x3a\0")
                assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_idle_stream_does_not_hold_up_the_end(tmp_path):
    services = make_services(load_repository(make_repository_folder(tmp_path)))
    closed = threading.Event()

    def ask_once_and_stay():
        yield b"\x3a\0"
        closed.wait(30)

    with serve_rpc(services) as address, grpc.insecure_channel(address) as channel:
        call = channel.stream_stream(f"/{NAMES[0]}/ServerReflectionInfo")
        answers = call(ask_once_and_stay(), timeout=60)
        assert next(answers)
        services.gate.close()
        assert list(answers) == []
        closed.set()
