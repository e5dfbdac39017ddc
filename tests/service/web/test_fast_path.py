"""The way past the framework answers as the way through it does."""

import json

import numpy as np
import pytest
from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from service.core.admission import AdmissionPolicy
from service.listening.body_limits import BodyLimits
from service.web.app import make_app
from service.web.fast_path import FastPath
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
        app.services.exchange.pipeline.segmenter.segment = _break
        with TestClient(app, raise_server_exceptions=False) as client:
            answer = client.post("/v1/segment", content=IMAGE)

        assert answer.status_code == 500
        assert answer.json()["code"] == "internal_error"
        assert "secret" not in answer.text


def test_a_refusal_says_when_to_come_again(tmp_path):
    services = make_services(
        load_repository(make_repository_folder(tmp_path)), admission=AdmissionPolicy(max_pending=1)
    )
    with TestClient(make_app(services)) as client, services.gate.reserve(0):
        answer = client.post("/v1/segment", content=IMAGE)

    assert answer.status_code == 429
    assert answer.headers["retry-after"]


async def refuse_everybody():
    raise HTTPException(403)


async def answer_path(request: Request, name: str, extra: str = ""):
    return Response(name + extra)


@pytest.mark.parametrize(
    ("handler", "dependencies"),
    [(answer_path, []), (lambda request: Response(), [Depends(refuse_everybody)])],
)
def test_a_route_that_the_fast_path_would_cut_short_is_refused(handler, dependencies):
    router = APIRouter()
    router.add_api_route("/{name}", handler, methods=["POST"], dependencies=dependencies)

    with pytest.raises(
        ValueError, match="no dependencies, and its handler may take only the request"
    ):
        FastPath(router.routes, lambda app: app, None, None)


@pytest.mark.parametrize("kind", ["middleware", "dependencies"])
def test_an_application_whose_layers_the_fast_path_would_skip_does_not_start(tmp_path, kind):
    app = make_app(make_services(load_repository(make_repository_folder(tmp_path))))
    if kind == "middleware":
        app.add_middleware(GZipMiddleware)
    else:
        app.router.dependencies.append(Depends(refuse_everybody))

    with pytest.raises(ValueError, match="no middleware but its own"), TestClient(app):
        pytest.fail("it started")
    app.services.exchange.pipeline.segmenter.close()


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
