"""Calls whose message is too large, late, or without an end."""

import asyncio
import logging
import queue
import sys
from contextlib import contextmanager

import grpc
import numpy as np
import pytest

from lacuna.errors import SlowBodyError
from service.core.admission import AdmissionPolicy
from service.engine.admission_gate import AdmissionGate
from service.engine.segmenter import Segmenter
from service.listening.access import AccessControl
from service.listening.body_limits import BodyLimits
from service.listening.keys import KeyRing
from service.rpc.drain import Drain
from service.rpc.reading import Reading
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.rpc import OIP, fail, make_infer, read_trailers, serve_rpc
from tests.support.waiting import let_others_run, wait_until

CODES = grpc.StatusCode
INFER, LIVE, CHECK = f"/{OIP}/ModelInfer", f"/{OIP}/ServerLive", "/grpc.health.v1.Health/Check"
MESSAGE = make_infer(np.full((1, 64, 64, 1), 200, np.uint8)).SerializeToString()
LARGE = bytes(70_000)


@pytest.fixture
def serve(tmp_path):
    """A function that serves, and gives a channel and the services."""
    repository = load_repository(make_repository_folder(tmp_path))

    @contextmanager
    def serve_with(**options):
        services = make_services(repository, **options)
        with serve_rpc(services) as address, grpc.insecure_channel(address) as channel:
            yield channel, services

    return serve_with


@contextmanager
def begin(channel, path, *messages):
    """Begin a call that is not ended, and give it."""
    sent = queue.SimpleQueue()
    for message in messages:
        sent.put(message)
    call = channel.stream_unary(path).future(iter(sent.get, None), timeout=60)
    yield call
    call.cancel()
    sent.put(None)


def read_code(error):
    return read_trailers(error.trailing_metadata())["code"]


@pytest.mark.parametrize(
    "path",
    [
        CHECK,
        "/grpc.health.v1.Health/Watch",
        LIVE,
        f"/{OIP}/ServerReady",
        f"/{OIP}/ModelMetadata",
        f"/{OIP}/RepositoryIndex",
        "/tensorflow.serving.ModelService/GetModelStatus",
        "/tensorflow.serving.PredictionService/GetModelMetadata",
    ],
)
def test_a_large_message_to_a_small_call_is_refused_before_the_call_ends(serve, path):
    with serve() as (channel, _), begin(channel, path, LARGE) as call:
        error = fail(call.result, timeout=30)

    assert error.code() is CODES.RESOURCE_EXHAUSTED
    assert read_code(error) == "body_too_large"


def test_a_client_without_a_key_cannot_leave_large_messages(serve):
    keys = AccessControl(KeyRing(["a-client-key-0001"]))
    with serve(access_control=keys) as (channel, _), begin(channel, CHECK, LARGE) as call:
        assert fail(call.result, timeout=30).code() is CODES.RESOURCE_EXHAUSTED


def test_the_bytes_of_a_message_count_before_the_call_ends(serve):
    with serve() as (channel, services), begin(channel, INFER, MESSAGE):
        assert wait_until(lambda: services.gate.pending_bytes == len(MESSAGE))


def test_a_message_for_which_there_is_no_room_is_refused_before_the_call_ends(serve):
    policy = AdmissionPolicy(max_pending_bytes=len(MESSAGE), max_share=1)
    with (
        serve(admission=policy) as (channel, services),
        begin(channel, INFER, MESSAGE),
    ):
        assert wait_until(lambda: services.gate.pending_bytes == len(MESSAGE))
        with begin(channel, INFER, MESSAGE) as call:
            error = fail(call.result, timeout=30)

    assert error.code() is CODES.RESOURCE_EXHAUSTED
    assert read_code(error) == "overloaded"


@pytest.mark.parametrize(
    ("path", "messages", "what"),
    [
        (LIVE, [], "a message"),
        (CHECK, [], "a message"),
        (LIVE, [b""], "the end of a call"),
        (INFER, [MESSAGE], "the end of a call"),
    ],
)
def test_a_call_without_message_or_end_is_ended_after_the_idle_time(serve, path, messages, what):
    limits = BodyLimits(idle_s=1)
    with serve(body_limits=limits) as (channel, services):
        with begin(channel, path, *messages) as call:
            error = fail(call.result, timeout=30)
        assert services.gate.pending == 0

    assert error.code() is CODES.DEADLINE_EXCEEDED
    assert error.details() == f"{what} must arrive within 1 s; it has not"


def test_a_message_with_images_may_take_longer_than_the_idle_time(serve):
    limits = BodyLimits(idle_s=0.1, body_s=0.4)
    with serve(body_limits=limits) as (channel, _), begin(channel, INFER) as call:
        error = fail(call.result, timeout=30)

    assert error.details() == "a message must arrive within 0.4 s; it has not"


@pytest.mark.parametrize(
    ("path", "messages"),
    [(INFER, []), (INFER, [MESSAGE]), (LIVE, []), (CHECK, []), (CHECK, [b""])],
)
def test_a_call_that_is_not_complete_does_not_hold_up_a_drain(serve, path, messages):
    with (
        serve() as (channel, services),
        begin(channel, path, *messages) as call,
        # Another request keeps the server from its end.
        services.gate.reserve(0),
    ):
        assert channel.unary_unary(LIVE)(b"", timeout=30)
        assert wait_until(lambda: services.gate.pending == 1 + (path == INFER))
        services.gate.close()
        error = fail(call.result, timeout=15)
        # Complete calls are answered meanwhile.
        assert channel.unary_unary(CHECK)(b"", timeout=30)

    assert error.code() is CODES.UNAVAILABLE
    assert read_code(error) == "not_ready"


def test_a_message_over_the_limit_is_not_logged_as_an_empty_call(serve, caplog):
    caplog.set_level(logging.INFO)
    limits = BodyLimits(body_bytes=len(MESSAGE) - 1)
    with serve(body_limits=limits) as (channel, _):
        for _ in range(20):
            error = fail(channel.unary_unary(INFER), MESSAGE, timeout=30)
            assert error.code() is CODES.RESOURCE_EXHAUSTED
        empty = fail(channel.stream_unary(INFER), iter([]), timeout=30)

    assert read_code(empty) == "empty_body"
    lines = [record for record in caplog.records if record.name == "service.rpc.answering"]
    assert [line.grpc_status for line in lines] == ["CANCELLED"] * 20 + ["INVALID_ARGUMENT"]
    assert {line.outcome for line in lines[:20]} == {"message too large, or client gone"}


def test_a_message_is_freed_at_once_if_its_call_does_not_end():
    message = bytes(1000)
    held = sys.getrefcount(message)

    class OpenCall:
        def __init__(self):
            self.messages = [message]
            self.end = asyncio.Event()

        async def read(self):
            if self.messages:
                return self.messages.pop()
            await self.end.wait()
            return grpc.aio.EOF

    async def read():
        call = OpenCall()
        reading = Reading(call, Drain(), len, message_s=30, end_s=0.01)
        try:
            with pytest.raises(SlowBodyError):
                await reading.finish()
            return sys.getrefcount(message)
        finally:
            call.end.set()

    assert asyncio.run(asyncio.wait_for(read(), 30)) == held


def test_a_message_that_comes_after_its_time_counts_for_nothing():
    class LateCall:
        def __init__(self):
            self.come = asyncio.Event()

        async def read(self):
            await self.come.wait()
            return bytes(1000)

    async def read(gate):
        call = LateCall()
        with gate.reserve(0, "somebody") as reservation:
            reading = Reading(
                call,
                Drain(),
                lambda message: reservation.grow(len(message)),
                message_s=0.01,
                end_s=30,
            )
            with pytest.raises(SlowBodyError):
                await reading.finish()
        call.come.set()
        await let_others_run()
        await let_others_run()
        return gate.pending_bytes, reading.has_message

    segmenter = Segmenter()
    assert asyncio.run(read(AdmissionGate(segmenter.dispatcher))) == (0, False)
    segmenter.close()
