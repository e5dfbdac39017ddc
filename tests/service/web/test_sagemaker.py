"""SageMaker's contract on a real socket, asked as the platform asks."""

import base64
import io
import json
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

from service.engine.lifecycle.repository import ModelRepository
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.runtime.fake import FakeRuntime
from tests.support.apps import (
    encode_image,
    load_fake,
    load_repository,
    make_repository_folder,
    make_services,
    serve,
)
from tests.support.live import find_address, run_server
from tests.support.runtimes import SEVEN, HeldOnSevens
from tests.support.waiting import wait_until

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (37, 53), np.uint8)
VALID = RNG.random((37, 53)) < 0.7
DARK = PIXELS != 0


def expect_labels(valid):
    filled = np.where(valid, PIXELS, 0)[None, :, :, None].astype(np.float32)
    return FakeRuntime().run(filled, valid[None], probabilities=False).labels[0]


def encode_npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "fake/1", "other/7")
    services = make_services(ModelRepository(root, load_fake))
    with run_server(services) as server:
        yield f"http://{find_address(server)}"


def invoke(url, body, content_type, accept="application/x-npy", attributes=None):
    """Send what InvokeEndpoint passes on: body, Content-Type, Accept and custom attributes."""
    headers = {"Content-Type": content_type, "Accept": accept}
    if attributes is not None:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    return requests.post(f"{url}/invocations", data=body, headers=headers, timeout=60)


def read_labels(answer):
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


def test_ping_says_200_once_the_models_are_ready(url):
    answer = requests.get(f"{url}/ping", timeout=2)

    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"


def test_ping_says_503_while_no_model_is_ready(tmp_path):
    with serve(load_repository(tmp_path)) as client:
        answer = client.get("/ping")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


def test_ping_says_503_while_a_call_of_the_model_hangs(tmp_path):
    model = HeldOnSevens()
    repository = load_repository(make_repository_folder(tmp_path), lambda _: model)
    sevens = encode_image(np.full((8, 8), SEVEN, np.uint8))
    with (
        serve(repository, watchdog_s=0.0) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(client.post, "/v1/segment", content=sevens)
        assert model.begun.wait(30)
        hanging = client.get("/ping")
        model.go.set()

        assert answer.result().status_code == 200
        assert wait_until(lambda: client.get("/ping").status_code == 200)
    assert (hanging.status_code, hanging.json()["status"]) == (503, "hangs")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (encode_image(PIXELS), "image/png"),
        (encode_npy(PIXELS), "application/x-npy"),
        (json.dumps({"image": PIXELS.tolist(), "model": "fake"}), "application/json"),
    ],
)
def test_the_bodies_of_the_native_api_are_taken(url, body, content_type):
    attributes = None if content_type == "application/json" else "model=fake"
    labels = read_labels(invoke(url, body, content_type, attributes=attributes))

    assert np.array_equal(labels, expect_labels(np.full((37, 53), fill_value=True)))


def test_a_form_carries_a_mask(url):
    files = {"image": encode_image(PIXELS), "mask": encode_image(VALID.astype(np.uint8) * 255)}
    form = requests.Request("POST", url, files=files, data={"model": "fake"}).prepare()

    labels = read_labels(invoke(url, form.body, form.headers["Content-Type"]))

    assert np.array_equal(labels, expect_labels(VALID))


@pytest.mark.parametrize(
    ("accept", "magic"),
    [("application/json", b"{"), ("image/png", b"\x89PNG"), ("application/zip", b"PK")],
)
def test_accept_chooses_the_answer(url, accept, magic):
    answer = invoke(url, encode_image(PIXELS), "image/png", accept, "model=fake")

    assert answer.headers["content-type"] == accept
    assert answer.content.startswith(magic)


def test_custom_attributes_carry_parameters(url):
    answer = invoke(
        url, encode_image(PIXELS), "image/png", attributes="model=fake, nodata=0,timeout_s=30"
    )

    assert np.array_equal(read_labels(answer), expect_labels(DARK))


@pytest.mark.parametrize("attributes", ["c000b4f9-df62", "", "trace id,model=fake"])
def test_custom_attributes_may_be_something_else(url, attributes):
    body = json.dumps({"instances": [PIXELS.tolist()], "parameters": {"version": "1"}})
    if "model" not in attributes:
        body = body.replace('"version": "1"', '"model": "fake"')
    answer = invoke(url, body, "application/json", attributes=attributes)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("attributes", "words"),
    [("model=fake,no_data=0", "no_data"), ("model=fake,nodata=black", "must be a number")],
)
def test_a_misspelt_parameter_is_refused(url, attributes, words):
    answer = invoke(url, encode_image(PIXELS), "image/png", attributes=attributes)

    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_instances_are_answered_as_by_tensorflow_serving(url):
    rows = [{"image": PIXELS.tolist(), "mask": VALID.tolist()}]
    content = {"instances": rows, "signature_name": "labels", "parameters": {"model": "fake"}}
    answer = invoke(url, json.dumps(content), "application/json")
    served = requests.post(
        f"{url}/v1/models/fake:predict",
        json={"instances": rows, "signature_name": "labels"},
        timeout=60,
    )

    assert answer.json() == served.json()
    assert np.array_equal(answer.json()["predictions"][0], expect_labels(VALID))


def test_inputs_are_answered_by_columns(url):
    encoded = {"b64": base64.b64encode(encode_image(PIXELS)).decode()}
    content = {"inputs": {"image": [encoded]}, "parameters": {"model": "fake", "nodata": 0}}
    outputs = invoke(url, json.dumps(content), "application/json; charset=utf-8").json()["outputs"]

    assert set(outputs) == {"labels", "probabilities"}
    assert np.array_equal(outputs["labels"][0], expect_labels(DARK))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"instances": [], "parameters": {"model": "fake"}}, "must hold an image"),
        ({"instances": [[[1]]], "parameters": {"colour": 1}}, "colour"),
        ({"instances": [[[1]]], "parameters": [1]}, "must be an object"),
        ({"instances": [[[1]]], "parameters": {"model": "fake", "timeout_s": -1}}, "positive"),
        (
            {"instances": [[[1]]], "signature_name": "labels", "parameters": {"signature_name": 1}},
            "in both",
        ),
        ({"instances": [[[1]]], "parameters": {"model": "none"}}, "must be one that is served"),
    ],
)
def test_a_faulty_request_is_refused_with_its_reason(url, content, words):
    answer = invoke(url, json.dumps(content), "application/json")

    assert answer.status_code in (400, 404)
    assert words in answer.json()["detail"]


def test_a_text_that_only_speaks_of_instances_is_native(url):
    content = {"image": PIXELS.tolist(), "model": 'a "instances": b'}
    answer = invoke(url, json.dumps(content), "application/json")

    assert answer.json()["code"] == "unknown_model"


def test_requests_are_counted_under_the_platforms_name(url):
    invoke(url, encode_image(PIXELS), "image/png", attributes="model=fake")
    metrics = requests.get(f"{url}/metrics", timeout=60).text

    assert 'lacuna_requests_total{model="fake",outcome="ok",protocol="sagemaker"}' in metrics


def test_health_is_asked_for_too_often_to_be_logged(tmp_path, caplog):
    with (
        caplog.at_level(logging.INFO),
        serve(load_repository(make_repository_folder(tmp_path))) as client,
    ):
        client.get("/ping")
        client.post("/invocations", content=encode_image(PIXELS))

    assert [line.path for line in caplog.records if hasattr(line, "path")] == ["/invocations"]


def test_where_keys_are_set_health_is_open_and_invocations_are_not(tmp_path):
    access = AccessControl(KeyRing(["a-client-key-0001"]))
    repository = load_repository(make_repository_folder(tmp_path))
    with serve(repository, access_control=access) as client:
        statuses = [client.get("/ping").status_code, client.post("/invocations").status_code]

    assert statuses == [200, 401]
