import re

import numpy as np
import pytest

from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.web.access import OPEN_PATHS
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

KEY, ADMIN = "a-client-key-0001", "the-key-of-an-admin"
IMAGE = encode_image(np.full((9, 9), 200, np.uint8))


@pytest.fixture
def client(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path))
    with serve(repository, access_control=AccessControl(KeyRing([KEY], ADMIN))) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"X-API-Key": KEY},
        {"X-API-Key": ADMIN},
    ],
)
def test_a_request_with_a_key_is_answered(client, headers):
    assert client.post("/v1/segment", content=IMAGE, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer "},
        {"X-API-Key": KEY.upper()},
        {"Cookie": f"X-API-Key={KEY}"},
    ],
)
def test_a_request_without_a_known_key_is_refused(client, headers):
    response = client.post("/v1/segment", content=IMAGE, headers=headers)

    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "unauthenticated"
    assert response.headers["www-authenticate"] == 'Bearer realm="lacuna"'
    assert response.headers["x-request-id"]
    assert KEY not in response.text


def test_a_key_in_the_query_is_none(client):
    assert client.post(f"/v1/segment?api_key={KEY}", content=IMAGE).status_code == 401


@pytest.mark.parametrize("path", ["/v2", "/v2/models/fake/infer", "/v1/models/fake:predict"])
def test_other_protocols_are_refused_in_their_own_shape(client, path):
    response = client.post(path, json={})

    assert (response.status_code, list(response.json())) == (401, ["error"])
    assert "www-authenticate" in response.headers


def list_paths(client):
    paths = client.get("/openapi.json").json()["paths"]
    return [
        (method, re.sub(r"\{\w+\}", "fake", path))
        for path, operations in paths.items()
        for method in operations
    ]


def test_every_path_needs_a_key_but_those_that_are_open(client):
    asked = [(method, path) for method, path in list_paths(client) if path not in OPEN_PATHS]
    asked += [("get", "/nothing"), ("get", "/livez/"), ("get", "/static"), ("post", "//v1/segment")]

    assert len(asked) > 15
    for method, path in asked:
        assert client.request(method, path).status_code == 401, path


@pytest.mark.parametrize("path", sorted(OPEN_PATHS - {"/favicon.ico"}))
def test_health_metrics_and_what_people_look_at_need_no_key(client, path):
    assert client.get(path).status_code == 200


def test_without_keys_nobody_needs_one(tmp_path):
    with serve(load_repository(make_repository_folder(tmp_path))) as client:
        assert client.post("/v1/segment", content=IMAGE).status_code == 200
        headers = {"Authorization": "Bearer whatever"}
        assert client.post("/v1/segment", content=IMAGE, headers=headers).status_code == 200
