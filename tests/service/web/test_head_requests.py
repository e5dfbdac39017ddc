"""HEAD wherever there is GET, and the methods of a path where another one is used."""

import json
import logging

import numpy as np
import pytest

from tests.support.apps import encode_image, load_repository, make_repository_folder, serve
from tests.support.live import serve_live
from tests.support.sockets import connect, make_head, read_to_end

VARYING = {"x-request-id", "server-timing", "date"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return load_repository(make_repository_folder(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def client(repository):
    with serve(repository) as client:
        yield client


VALUES = {"name": "fake", "version": "1", "label": "latest", "request_id": "never"}
HIDDEN = ["/", "/docs", "/openapi.json", "/static/about.json", "/samples/aerial/clouds.png"]


def list_gets(client):
    """List the paths that have GET, with their parameters filled in."""
    documented = client.get("/openapi.json").json()["paths"]
    return HIDDEN + [
        path.format(**VALUES) for path, methods in documented.items() if "get" in methods
    ]


def strip(headers):
    return {name: value for name, value in headers.items() if name not in VARYING}


def test_head_is_answered_as_get_without_the_body(client):
    paths = [*list_gets(client), "/nowhere", "/v2/nowhere", "/v1/models/other"]
    assert len(paths) > 20
    for path in paths:
        got, head = client.get(path), client.head(path)

        assert head.status_code == got.status_code, path
        assert head.content == b"", path
        assert int(head.headers["content-length"]) > 0, path
        if path != "/metrics":  # whose numbers change
            assert strip(head.headers) == strip(got.headers), path


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/", "/v2/health/ready", "/v1/segment"])
def test_nothing_follows_the_head_of_an_answer_on_the_wire(repository, path):
    with serve_live(repository) as address, connect(address) as connection:
        connection.sendall(make_head("HEAD", path) + make_head("HEAD", path, Connection="close"))
        first, second, rest = read_to_end(connection).split(b"\r\n\r\n")

    assert first.split()[:2] == second.split()[:2]
    assert rest == b""


def test_a_head_request_is_logged_as_one(client, caplog):
    with caplog.at_level(logging.INFO):
        client.head("/nowhere")

    (line,) = [line for line in caplog.records if line.message == "request"]
    assert (line.method, line.status, line.sent_bytes, line.code) == ("HEAD", 404, 0, "not_found")


def test_head_on_a_path_for_posts_is_refused_as_get_is(client):
    for method in ("GET", "HEAD"):
        response = client.request(method, "/v1/segment")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/livez", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        ("/", "GET, HEAD"),
        ("/static/about.json", "GET, HEAD"),
        ("/v1/models", "GET, HEAD"),
        ("/v1/models/fake", "GET, HEAD"),
        ("/v2/models/fake/ready", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/v1/segment", "POST"),
        ("/v1/preview", "POST"),
        ("/v2/models/fake/infer", "POST"),
        ("/v1/models/fake:predict", "POST"),
        ("/v2/repository/index", "POST"),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_with_those_that_are_allowed(client, method, path, allowed):
    response = client.request(method, path, content=encode_image(np.zeros((2, 2), np.uint8)))

    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert list(json.loads(response.content))
