"""A client sees how much of its request is computed."""

import logging
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest

from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from tests.service.web.test_segment import check_problem
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve
from tests.support.live import serve_live
from tests.support.runtimes import SEVEN, SteppedOnSevens
from tests.support.waiting import wait_until

KEYS = ["a-client-key-0001", "a-client-key-0002"]
ADMIN = "the-key-of-an-admin"
IMAGE = encode_image(np.full((9, 9), SEVEN, np.uint8))
LARGE = encode_image(np.full((1300, 1300), SEVEN, np.uint8))
TENSOR = {
    "name": "image",
    "datatype": "UINT8",
    "shape": [2, 2, 2, 1],
    "data": [0, 90, 180, 250] * 2,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve(load_repository(root)) as client:
        yield client


def look(client, request_id, **options):
    answer = client.get(f"/v1/progress/{request_id}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_windows_of_a_large_image_are_counted_while_it_is_computed(tmp_path):
    runtime = SteppedOnSevens()
    repository = load_repository(make_repository_folder(tmp_path), lambda _: runtime)
    with (
        serve_live(repository) as address,
        httpx2.Client(base_url=f"http://{address}", timeout=60) as client,
        ThreadPoolExecutor() as threads,
    ):
        headers = {"X-Request-ID": "large"}
        asked = threads.submit(client.post, "/v1/segment", content=LARGE, headers=headers)

        def count():
            answer = client.get("/v1/progress/large")
            return answer.json()["windows"] if answer.is_success else {"done": 0, "total": 0}

        assert wait_until(lambda: count()["total"] > 0)
        total = count()["total"]
        assert total > 2
        assert look(client, "large") == {"windows": {"done": 0, "total": total}, "ended": False}
        runtime.steps.release()
        assert wait_until(lambda: count()["done"] > 0)
        assert count()["done"] < total
        runtime.steps.release(total)
        assert asked.result().status_code == 200

        assert look(client, "large") == {"windows": {"done": total, "total": total}, "ended": True}


@pytest.mark.parametrize(
    ("path", "options", "windows"),
    [
        ("/v1/segment", {"content": IMAGE}, 1),
        ("/v2/models/fake/infer", {"json": {"inputs": [TENSOR]}}, 2),
        ("/v1/models/fake:predict", {"json": {"instances": [[[1, 2]], [[3]], [[4]]]}}, 3),
        ("/v1/segment", {"content": b"no image"}, 0),
    ],
)
def test_every_request_with_an_id_is_known_a_moment_after_its_end(client, path, options, windows):
    client.post(path, headers={"X-Request-ID": "a/b:c"}, **options)

    count = {"done": windows, "total": windows}
    assert look(client, "a/b:c") == {"windows": count, "ended": True}
    assert look(client, "a%2Fb:c") == {"windows": count, "ended": True}


@pytest.mark.parametrize("request_id", ["never", "", "x" * 200])
def test_an_unknown_id_is_told_as_a_problem(client, request_id):
    response = client.get(f"/v1/progress/{request_id}")

    check_problem(response, 404, "unknown_request", "no such request has")
    assert len(response.json()["detail"]) < 300


def test_ids_that_the_server_makes_are_not_kept(client):
    for headers in ({}, {"X-Request-ID": "not harmless"}, {"X-Request-ID": "x" * 129}):
        response = client.post("/v1/segment", content=IMAGE, headers=headers)
        for request_id in (response.headers["x-request-id"], *headers.values()):
            assert client.get(f"/v1/progress/{request_id}").status_code == 404


def test_an_answer_is_not_kept_by_caches(client):
    client.post("/v1/segment", content=IMAGE, headers={"X-Request-ID": "fresh"})

    assert client.get("/v1/progress/fresh").headers["cache-control"] == "no-store"


def test_nobody_sees_the_requests_of_another_key(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path))
    control = AccessControl(KeyRing(KEYS, ADMIN))
    with serve(repository, access_control=control) as client:
        mine, yours, admin = ({"X-API-Key": key} for key in [*KEYS, ADMIN])
        client.post("/v1/segment", content=IMAGE, headers={"X-Request-ID": "one"} | mine)

        assert look(client, "one", headers=mine)["ended"]
        for headers in (yours, admin):
            answer = client.get("/v1/progress/one", headers=headers)
            check_problem(answer, 404, "unknown_request", "of the same client")
        assert client.get("/v1/progress/one").status_code == 401


def test_looking_is_not_logged_at_info_level(client, caplog):
    with caplog.at_level(logging.INFO):
        client.get("/v1/progress/never")
        client.get("/v1/models")

    lines = [record.path for record in caplog.records if record.message == "request"]
    assert lines == ["/v1/models"]
