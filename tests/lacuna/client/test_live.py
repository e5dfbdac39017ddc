"""The client against a real server in bad times."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from lacuna.client import Client, RetryPolicy, TimedOutError, UnreachableError
from lacuna.errors import DeadlineExceededError, OverloadedError, UnauthenticatedError
from service.core.admission import AdmissionPolicy
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from tests.lacuna.client.relay import Relay
from tests.lacuna.client.scripts import Time
from tests.support.apps import load_fake, load_repository, make_repository_folder, make_services
from tests.support.live import find_address, run_server
from tests.support.runtimes import Gated

IMAGES = [np.full((4, 3 + index), 20 * index, np.uint8) for index in range(12)]


@contextmanager
def serve(folder, load=load_fake, **options):
    repository = load_repository(make_repository_folder(folder), load)
    with run_server(make_services(repository, **options)) as server:
        yield f"http://{find_address(server)}"


class Held(Gated):
    """Lets the calls of the start pass, and holds all that come after."""

    def __init__(self):
        super().__init__()
        self.go.set()

    def hold(self):
        self.go.clear()
        self.begun.clear()


@pytest.fixture
def held():
    runtime = Held()
    yield runtime
    runtime.go.set()


def test_an_overloaded_server_is_asked_again_when_it_says(tmp_path, held):
    pauses, first_done = Time(), threading.Event()

    def sleep(seconds):
        pauses.sleep(seconds)
        held.go.set()
        assert first_done.wait(30)

    with (
        serve(tmp_path, lambda _: held, admission=AdmissionPolicy(max_pending=1)) as url,
        Client(url) as other,
        Client(url, clock=pauses.clock, sleep=sleep) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        held.hold()
        first = pool.submit(other.segment, IMAGES[0])
        first.add_done_callback(lambda _: first_done.set())
        assert held.begun.wait(30)

        assert client.segment(IMAGES[1]).labels.shape == (4, 4)
        assert first.result().labels.shape == (4, 3)
    assert len(pauses.sleeps) >= 1
    assert pauses.sleeps[0] >= 1


def test_without_patience_an_overloaded_server_is_an_error_that_says_when(tmp_path, held):
    with (
        serve(tmp_path, lambda _: held, admission=AdmissionPolicy(max_pending=1)) as url,
        Client(url, retry=RetryPolicy(0)) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        held.hold()
        first = pool.submit(client.segment, IMAGES[0])
        assert held.begun.wait(30)
        with pytest.raises(OverloadedError) as caught:
            client.segment(IMAGES[1])
        held.go.set()
        first.result()

    assert caught.value.retry_after_s >= 1


def test_a_slow_server_is_given_up_in_time(tmp_path, held):
    with serve(tmp_path, lambda _: held) as url, Client(url, timeout_s=1) as client:
        held.hold()
        with pytest.raises(TimedOutError, match=url):
            client.segment(IMAGES[0])
        held.go.set()


def test_a_time_that_the_caller_allows_is_kept_by_the_server(tmp_path, held):
    with serve(tmp_path, lambda _: held) as url, Client(url) as client:
        held.hold()
        with pytest.raises(DeadlineExceededError):
            client.segment(IMAGES[0], timeout_s=0.2)
        held.go.set()


def test_a_server_that_is_gone_is_waited_for_and_then_given_up(address):
    relay, time = Relay(address), Time()
    policy = RetryPolicy(patience_s=30)
    with Client(relay.url, retry=policy, clock=time.clock, sleep=time.sleep) as client:
        client.segment(IMAGES[0])
        relay.cut()
        with pytest.raises(UnreachableError, match=relay.url):
            client.segment(IMAGES[0])

    assert 20 < sum(time.sleeps) <= 30


def test_no_image_is_lost_or_answered_twice_while_a_server_restarts(address):
    relay, lock = Relay(address), threading.Lock()
    cut = False

    def sleep(_):
        nonlocal cut
        with lock:
            if cut:
                relay.mend()
                cut = False

    widths = []
    with Client(relay.url, sleep=sleep) as client:
        for index, result in enumerate(client.map(IMAGES * 4, concurrency=3)):
            widths.append(result.labels.shape[1])
            if index in (5, 20):
                with lock:
                    relay.cut()
                    cut = True
    relay.cut()

    assert widths == [image.shape[1] for image in IMAGES] * 4


def test_a_server_that_wants_a_key_gets_it(tmp_path):
    key = "correct-horse-battery-staple"
    with serve(tmp_path, access_control=AccessControl(KeyRing([key]))) as url:
        with Client(url, api_key=key) as client:
            assert client.segment(IMAGES[0]).model == "fake"
        with Client(url) as client, pytest.raises(UnauthenticatedError) as caught:
            client.segment(IMAGES[0])

    assert caught.value.code == "unauthenticated"


@pytest.mark.parametrize("protocol", ["native", "oip", "tfserving"])
def test_the_default_of_the_server_answers_if_no_model_is_named(tmp_path, protocol):
    root = make_repository_folder(tmp_path, "a/1", "b/1")
    repository = ModelRepository(root, load_fake, policy=RepositoryPolicy(default_model="b"))
    asyncio.run(repository.load_all())

    with (
        run_server(make_services(repository)) as server,
        Client(f"http://{find_address(server)}", protocol=protocol) as client,
    ):
        assert client.segment(IMAGES[0]).model == "b"
