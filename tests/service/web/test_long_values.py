"""Requests with very long names and values: their answers and log lines stay short."""

import json
import logging

import numpy as np
import pytest

from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

LONG = "\x7f" * 300_000
IMAGE = [[1, 2], [3, 4]]
TENSOR = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 1], "data": [1]}
PNG = encode_image(np.zeros((4, 4), np.uint8))

JSON_BODIES = {
    "/v1/segment": [
        {"image": IMAGE, LONG: 1},
        {LONG: 1},
        {"image": {LONG: 1}},
        {"image": IMAGE, "mask": {LONG: 1}},
        {"image": IMAGE, "mask": {"counts": LONG, "size": [2, 2]}},
        {"image": {"b64": LONG}},
        {"image": {"b64": "AAAA", "format": LONG}},
        *[
            {"image": IMAGE, name: value}
            for name in ("model", "version", "nodata", "timeout_s", "stretch")
            for value in (LONG, [LONG], [[0] * 100_000], {LONG: {LONG: LONG}})
        ],
    ],
    "/v1/preview": [{"image": IMAGE, LONG: 1}, {"image": IMAGE, "model": LONG}],
    "/v2/models/fake/infer": [
        {"inputs": [LONG]},
        {"inputs": [TENSOR | {"name": LONG}]},
        {"inputs": [TENSOR | {"datatype": LONG}]},
        {"inputs": [TENSOR | {"shape": [LONG]}]},
        {"inputs": [TENSOR | {"shape": [10**4000] * 4}]},
        {"inputs": [TENSOR], "outputs": [{"name": LONG}]},
        {"inputs": [TENSOR], "outputs": [{"name": "labels"}] * 100_000},
        {"inputs": [TENSOR], "parameters": {"priority": 10**4000}},
    ],
    "/v1/models/fake:predict": [
        {"signature_name": LONG, "instances": [IMAGE]},
        {"instances": [{LONG: 1}]},
        {"instances": [{"b64": "", LONG: 1}]},
        {"inputs": {LONG: 1}},
    ],
    "/v2/repository/models/fake/load": [{"parameters": {"x" * 50_000: 1}}],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve(load_repository(root)) as client:
        yield client


def check_short(response, caplog):
    assert 400 <= response.status_code < 500
    assert len(response.content) < 4096
    lines = [vars(record) for record in caplog.records if record.message == "request"]
    assert lines
    assert all(len(json.dumps(line, default=str)) < 8192 for line in lines)


@pytest.mark.parametrize(
    ("path", "content"), [(path, body) for path, bodies in JSON_BODIES.items() for body in bodies]
)
def test_an_error_about_json_is_short(client, caplog, path, content):
    with caplog.at_level(logging.INFO):
        response = client.post(path, json=content)

    check_short(response, caplog)


@pytest.mark.parametrize("name", ["model", "version", "nodata", "timeout_s", "stretch", "other"])
def test_an_error_about_a_field_of_a_form_is_short(client, caplog, name):
    with caplog.at_level(logging.INFO):
        response = client.post("/v1/segment", files={"image": PNG}, data={name: LONG})

    check_short(response, caplog)
    if name != "other":
        message = f"{name} must have at most 4000 bytes; it has 300000"
        assert response.json()["detail"] == message


@pytest.mark.parametrize(
    "path",
    [
        "/" + "x" * 50_000,
        "/v2/models/" + "x" * 50_000,
        "/v2/models/fake/versions/" + "9" * 50_000,
        "/v1/models/" + "x" * 50_000,
        "/v1/models/fake/versions/" + "9" * 50_000,
        "/v1/models/fake/labels/" + "x" * 50_000,
    ],
    ids=lambda path: path[:30],
)
def test_an_error_about_a_path_is_short(client, caplog, path):
    with caplog.at_level(logging.INFO):
        response = client.get(path)

    check_short(response, caplog)


@pytest.mark.parametrize("name", ["Accept", "Content-Type", "Content-Encoding"])
def test_an_error_about_a_header_is_short(client, caplog, name):
    headers = {"Content-Type": "image/png", name: "x" * 50_000}
    with caplog.at_level(logging.INFO):
        response = client.post("/v1/segment", content=b"no image", headers=headers)

    check_short(response, caplog)
