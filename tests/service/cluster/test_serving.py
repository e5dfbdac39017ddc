"""The server on Ray Serve: the unchanged application behind Ray's proxy and on its replicas."""

import asyncio
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest
from PIL import Image

from lacuna import Client, RetryPolicy
from lacuna.errors import InvalidImageError, NotReadyError
from service.cluster.replica import limit_threads, load_models
from service.config import Settings
from service.listening.statuses import STATUSES
from service.platforms import DEMO_REPOSITORY
from tests.support.apps import load_demo
from tests.support.live import serve_live
from tests.support.processes import find_policies, find_processes
from tests.support.ray_nodes import run_nodes
from tests.support.ray_serving import serve_on_ray
from tests.support.repositories import BROKEN, make_repository, write_version
from tests.support.waiting import wait_until

SAMPLES = DEMO_REPOSITORY.parent / "samples" / "groundcover"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    log = tmp_path_factory.mktemp("ray") / "log"
    with run_nodes(2) as nodes, serve_on_ray(nodes.address, log) as server:
        yield server


@pytest.fixture(scope="module")
def here():
    with (
        serve_live(load_demo()) as address,
        Client(f"http://{address}") as client,
    ):
        yield client


@pytest.fixture
def client(server):
    with Client(f"http://{server.address}", retry=RetryPolicy(60)) as client:
        yield client


@pytest.mark.slow
def test_it_is_ready_when_it_is_there(client):
    assert [model.name for model in client.models()] == ["groundcover"]


@pytest.mark.slow
def test_its_answers_are_those_of_the_server(client, here):
    image, mask = SAMPLES / "swath.png", SAMPLES / "swath-mask.png"

    found = client.segment(image, mask, probabilities=True)
    expected = here.segment(image, mask, probabilities=True)

    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.probabilities, expected.probabilities)


@pytest.mark.slow
def test_its_threads_are_scheduled_as_those_of_the_server(client):
    client.segment(SAMPLES / "swath.png", SAMPLES / "swath-mask.png")
    replicas = find_processes("ray::ServeReplica:lacuna:")

    policies = [find_policies(process_id, "tf_Compute") for process_id in replicas]

    assert set().union(*policies) == {os.SCHED_BATCH}


@pytest.mark.slow
def test_bodies_are_streamed_both_ways(server, here):
    values = np.random.default_rng(0).integers(0, 256, (1500, 1400, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    np.save(buffer, values)
    content = buffer.getvalue()

    def send():
        for start in range(0, len(content), 1 << 16):
            yield content[start : start + (1 << 16)]

    answer = httpx2.post(
        f"http://{server.address}/v1/segment",
        content=send(),
        headers={"content-type": "application/x-npy", "accept": "application/x-npy"},
        timeout=120,
    )

    assert answer.status_code == 200, answer.text
    labels = np.load(io.BytesIO(answer.content))
    assert np.array_equal(labels, here.segment(values).labels)


@pytest.mark.slow
def test_errors_are_those_of_the_server(server):
    answer = httpx2.post(
        f"http://{server.address}/v1/segment",
        content=b"no image",
        headers={"content-type": "image/png"},
        timeout=60,
    )

    assert answer.status_code == STATUSES[InvalidImageError].http
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_image"


@pytest.mark.slow
def test_a_queue_brings_another_replica(server, client):
    with Image.open(SAMPLES / "swath.png") as picture:
        image = np.tile(np.asarray(picture.convert("RGB")), (2, 2, 1))
    enough = threading.Event()

    def flood(_):
        while not enough.is_set():
            client.segment(image)

    with ThreadPoolExecutor(6) as pool:
        floods = [pool.submit(flood, number) for number in range(6)]
        try:
            assert wait_until(lambda: server.count_replicas() == 2, 180)
        finally:
            enough.set()
        for future in floods:
            future.result()


def has_queue(server):
    """Return whether windows wait, if the replica that answers is the one where they do."""
    metrics = httpx2.get(f"http://{server.address}/metrics", timeout=60).text
    lines = [line for line in metrics.splitlines() if line.startswith("lacuna_queue_windows")]
    assert lines
    return any(float(line.split()[-1]) for line in lines)


@pytest.mark.slow
def test_a_replica_that_ends_answers_what_it_has_taken(server, client, here):
    """The last, because the server is gone then."""
    values = np.random.default_rng(1).integers(0, 256, (1800, 1800, 3)).astype(np.uint8)

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(client.segment, values)
        assert wait_until(lambda: has_queue(server), 120)
        server.begin_delete()
        answer = pending.result()
        server.finish_delete()

    assert np.array_equal(answer.labels, here.segment(values).labels)


def test_a_replica_takes_the_cpus_that_it_was_given():
    engine = limit_threads(Settings(), 3).engine
    by_threads = limit_threads(Settings(engine={"threads": 2}), 4).engine
    by_workers = limit_threads(Settings(engine={"workers": 5}), 2).engine

    assert (engine.workers, engine.threads) == (3, 1)
    assert (by_threads.workers, by_threads.threads) == (2, 2)
    assert (by_workers.workers, by_workers.threads) == (5, None)


def test_a_replica_whose_model_cannot_be_loaded_does_not_come_up(tmp_path):
    write_version(tmp_path, "good/1")
    write_version(tmp_path, "bad/1", BROKEN)

    with pytest.raises(NotReadyError, match=r"all models must load; bad/1: .*one that loads"):
        asyncio.run(load_models(make_repository(tmp_path)))
