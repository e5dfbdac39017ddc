"""Vertex AI's contract on a real socket, asked as the platform asks."""

import base64
import io
import logging

import numpy as np
import pytest
import requests

from service.engine.lifecycle.repository import ModelRepository
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.runtime.fake import FakeRuntime
from service.web.services import VertexRoutes
from tests.support.apps import (
    encode_image,
    load_fake,
    load_repository,
    make_repository_folder,
    make_services,
    serve,
)
from tests.support.live import find_address, run_server

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(1, 256, (21, 34), np.uint8)
VALID = RNG.random((21, 34)) < 0.7
LABELS = (
    FakeRuntime()
    .run(
        np.where(VALID, PIXELS, 0)[None, :, :, None].astype(np.float32),
        VALID[None],
        probabilities=False,
    )
    .labels[0]
)
# What the platform names a container that does not ask for other paths.
DEPLOYED = "/v1/endpoints/458/deployedModels/91"
ROUTES = VertexRoutes(DEPLOYED, f"{DEPLOYED}:predict")
ENCODED = {"b64": base64.b64encode(encode_image(PIXELS)).decode()}
ROW = {"image": PIXELS.tolist(), "mask": VALID.tolist()}
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    services = make_services(ModelRepository(root, load_fake), vertex_routes=ROUTES)
    with run_server(services) as server:
        yield f"http://{find_address(server)}"


def predict(host, content, path=ROUTES.predict):
    return requests.post(f"{host}{path}", json=content, timeout=TIMEOUT_S)


def test_the_platforms_health_check_says_200_once_the_models_are_ready(host):
    assert requests.get(f"{host}{ROUTES.health}", timeout=TIMEOUT_S).status_code == 200


def test_and_503_while_no_model_is_ready(tmp_path):
    with serve(load_repository(tmp_path), vertex_routes=ROUTES) as client:
        assert client.get(ROUTES.health).status_code == 503


def test_instances_become_predictions(host):
    content = {"instances": [ROW, {"image": ENCODED}], "parameters": {"signature_name": "labels"}}
    answer = predict(host, content)

    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["predictions"]
    first, second = answer.json()["predictions"]
    assert np.array_equal(first, LABELS)
    assert np.shape(second) == (21, 34)


def test_by_default_a_prediction_has_labels_and_probabilities(host):
    (prediction,) = predict(host, {"instances": [ROW]}).json()["predictions"]

    assert set(prediction) == {"labels", "probabilities"}
    assert np.array_equal(prediction["labels"], LABELS)


def test_parameters_are_those_of_the_native_api(host):
    filled = np.where(VALID, PIXELS, 0).tolist()
    parameters = {"signature_name": "labels", "nodata": 0, "model": "fake", "timeout_s": 30}
    (labels,) = predict(host, {"instances": [filled], "parameters": parameters}).json()[
        "predictions"
    ]

    assert np.array_equal(labels, LABELS)


def test_parameters_may_be_null_or_missing(host):
    content = {"instances": [ROW], "signature_name": "labels", "parameters": None}

    assert predict(host, content).status_code == 200


def test_a_raw_request_may_be_a_form(host):
    files = {"image": encode_image(PIXELS), "mask": encode_image(VALID.astype(np.uint8) * 255)}
    answer = requests.post(
        f"{host}{ROUTES.predict}",
        files=files,
        headers={"Accept": "application/x-npy"},
        timeout=TIMEOUT_S,
    )

    assert np.array_equal(np.load(io.BytesIO(answer.content)), LABELS)


def test_an_unknown_parameter_is_refused(host):
    answer = predict(host, {"instances": [ROW], "parameters": {"no_data": 0}})

    assert answer.status_code == 400
    assert "no_data" in answer.json()["detail"]


def test_requests_are_counted_under_the_platforms_name(host):
    predict(host, {"instances": [ROW]})
    metrics = requests.get(f"{host}/metrics", timeout=TIMEOUT_S).text

    assert 'lacuna_requests_total{model="fake",outcome="ok",protocol="vertex"}' in metrics


@pytest.mark.parametrize(
    "routes",
    [
        VertexRoutes("/v1/models/fake", "/v1/models/fake:predict"),
        VertexRoutes("/readyz", "/v1/segment"),
        VertexRoutes("/", "/"),
        VertexRoutes("/ping", "/invocations"),
        VertexRoutes("/health", "/predict"),
    ],
)
def test_paths_that_were_asked_for_have_precedence(tmp_path, routes):
    repository = load_repository(make_repository_folder(tmp_path))
    with serve(repository, vertex_routes=routes) as client:
        content = {"instances": [ROW], "parameters": {"signature_name": "labels"}}
        health, answer = client.get(routes.health), client.post(routes.predict, json=content)

    assert health.json()["status"] == "ready"
    assert np.array_equal(answer.json()["predictions"], [LABELS])


def test_without_the_platforms_paths_there_are_none(tmp_path):
    with serve(load_repository(tmp_path)) as client:
        assert client.get(DEPLOYED).status_code == 404


def test_the_health_check_needs_no_key_and_nothing_else_becomes_open(tmp_path):
    routes = VertexRoutes("/v1/segment", "/predict")
    access = AccessControl(KeyRing(["a-client-key-0001"]))
    repository = load_repository(make_repository_folder(tmp_path))
    with serve(repository, access_control=access, vertex_routes=routes) as client:
        statuses = [
            client.get("/v1/segment").status_code,
            client.post("/v1/segment", content=encode_image(PIXELS)).status_code,
            client.post("/predict", json={"instances": [ROW]}).status_code,
        ]

    assert statuses == [200, 401, 401]


def test_health_is_asked_for_too_often_to_be_logged(tmp_path, caplog):
    repository = load_repository(make_repository_folder(tmp_path))
    with (
        caplog.at_level(logging.INFO),
        serve(repository, vertex_routes=ROUTES) as client,
    ):
        client.get(ROUTES.health)
        client.post(ROUTES.predict, json={"instances": [ROW]})

    assert [line.path for line in caplog.records if hasattr(line, "path")] == [ROUTES.predict]
