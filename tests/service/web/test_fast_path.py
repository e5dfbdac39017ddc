"""The way past the framework answers as the way through it does."""

import json

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.core.admission import AdmissionPolicy
from service.web.app import make_app
from service.web.body import BodyLimits
from tests.support.apps import encode_image, load_repository, make_repository_folder, make_services

IMAGE = encode_image(np.arange(63, dtype=np.uint8).reshape(7, 9) * 4)
INFER = "/v2/models/fake/infer"
TENSOR = {
    "name": "image",
    "datatype": "UINT8",
    "shape": [1, 2, 2, 1],
    "data": [0, 90, 180, 250],
}

REQUESTS = {
    "an image": ("POST", "/v1/segment", {"content": IMAGE}),
    "a query": ("POST", "/v1/segment?nodata=0", {"content": IMAGE}),
    "nothing": ("POST", "/v1/segment", {}),
    "no such model": ("POST", "/v1/segment?model=other", {"content": IMAGE}),
    "not acceptable": (
        "POST",
        "/v1/segment",
        {"content": IMAGE, "headers": {"Accept": "text/html"}},
    ),
    "too large": ("POST", "/v1/segment", {"content": bytes(70_000)}),
    "another method": ("GET", "/v1/segment", {}),
    "a slash too many": ("POST", "/v1/segment/", {"content": IMAGE}),
    "tensors": ("POST", INFER, {"json": {"inputs": [TENSOR]}}),
    "tensors of a version": (
        "POST",
        "/v2/models/fake/versions/1/infer",
        {"json": {"inputs": [TENSOR]}},
    ),
    "tensors for no such version": (
        "POST",
        "/v2/models/fake/versions/9/infer",
        {"json": {"inputs": [TENSOR]}},
    ),
    "no tensors": ("POST", INFER, {"json": {"inputs": []}}),
    "another coding": (
        "POST",
        INFER,
        {"content": b"{}", "headers": {"Content-Encoding": "br"}},
    ),
}


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    folder = make_repository_folder(tmp_path_factory.mktemp("repository"))
    apps = [
        make_app(make_services(load_repository(folder), BodyLimits(body_bytes=65_536)))
        for _ in range(2)
    ]
    apps[1].fast_routes = ()
    with (
        TestClient(apps[0], raise_server_exceptions=False) as is_fast,
        TestClient(apps[1], raise_server_exceptions=False) as usual,
    ):
        yield is_fast, usual


@pytest.mark.parametrize("name", REQUESTS)
def test_both_ways_answer_alike(clients, name):
    method, path, options = REQUESTS[name]
    headers = {"X-Request-ID": "one"} | options.get("headers", {})

    is_fast, usual = (
        client.request(method, path, **options | {"headers": headers}) for client in clients
    )

    assert is_fast.status_code == usual.status_code
    assert _strip(is_fast) == _strip(usual)
    assert is_fast.headers.keys() == usual.headers.keys()
    assert is_fast.headers["x-request-id"] == "one"


def test_what_nobody_caught_is_an_opaque_500_on_both_ways(tmp_path):
    for fast_routes in (True, False):
        app = make_app(
            make_services(load_repository(make_repository_folder(tmp_path / str(fast_routes))))
        )
        if not fast_routes:
            app.fast_routes = ()
        app.services.pipeline.segmenter.segment = _break
        with TestClient(app, raise_server_exceptions=False) as client:
            answer = client.post("/v1/segment", content=IMAGE)

        assert answer.status_code == 500
        assert answer.json()["code"] == "internal_error"
        assert "secret" not in answer.text


def test_a_refusal_says_when_to_come_again(tmp_path):
    services = make_services(
        load_repository(make_repository_folder(tmp_path)), admission=AdmissionPolicy(max_pending=1)
    )
    with TestClient(make_app(services)) as client, services.gate.hold(0):
        answer = client.post("/v1/segment", content=IMAGE)

    assert answer.status_code == 429
    assert answer.headers["retry-after"]


def test_the_busiest_routes_are_documented_all_the_same(clients):
    paths = clients[0].get("/openapi.json").json()["paths"]

    assert "/v1/segment" in paths
    assert "/v2/models/{name}/infer" in paths


async def _break(*_, **__):
    raise RuntimeError("secret")


def _strip(answer):
    """Give what of an answer does not depend on how long it took."""
    try:
        content = answer.json()
    except json.JSONDecodeError:
        return answer.content
    content.pop("timings_ms", None)
    return content
