"""What holds for every protocol alike."""

import asyncio
import gzip
import io
import json
import logging
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from lacuna.errors import InferenceError
from lacuna.raster.npy import write_npy
from service.core.admission import AdmissionPolicy
from service.listening.body_limits import BodyLimits
from service.runtime.fake import FakeRuntime
from service.web.app import make_app
from tests.support.apps import load_repository, make_repository_folder, make_services, serve
from tests.support.runtimes import Gated
from tests.support.strategies import scenes

DATATYPES = {
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "INT16": np.int16,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
INFER, PREDICT = "/v2/models/fake/infer", "/v1/models/fake:predict"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve(load_repository(root)) as client:
        yield client


def ask_native(client, image, mask, datatype):
    files = {"image": write_npy(image), "mask": write_npy(mask)}
    response = client.post("/v1/segment", files=files, headers={"Accept": "application/x-npy"})
    return np.load(io.BytesIO(response.content))


def describe(name, array, datatype, **how):
    return {"name": name, "shape": [1, *array.shape], "datatype": datatype} | how


def ask_infer_json(client, image, mask, datatype):
    flat, nested = image.ravel().tolist(), [mask.tolist()]
    inputs = [
        # The protocol has no half floats in JSON; all of them are single ones, too.
        describe("image", image, datatype.replace("FP16", "FP32"), data=flat),
        describe("mask", mask, "BOOL", data=nested),
    ]
    content = {"inputs": inputs, "outputs": [{"name": "labels"}]}
    (output,) = client.post(INFER, json=content).json()["outputs"]
    return np.reshape(output["data"], output["shape"])[0]


def ask_infer_binary(client, image, mask, datatype):
    inputs = [
        describe("image", image, datatype, parameters={"binary_data_size": image.nbytes}),
        describe("mask", mask, "BOOL", parameters={"binary_data_size": mask.nbytes}),
    ]
    content = {"inputs": inputs, "outputs": [{"name": "labels"}]}
    text = json.dumps(content | {"parameters": {"binary_data_output": True}}).encode()
    response = client.post(
        INFER,
        content=text + image.tobytes() + mask.tobytes(),
        headers={"Inference-Header-Content-Length": str(len(text))},
    )
    length = int(response.headers["inference-header-content-length"])
    return np.frombuffer(response.content[length:], np.uint8).reshape(mask.shape)


def ask_predict_rows(client, image, mask, datatype):
    rows = [{"image": image.tolist(), "mask": mask.tolist()}]
    answer = client.post(PREDICT, json={"instances": rows}).json()
    return np.array(answer["predictions"][0]["labels"])


def ask_predict_columns(client, image, mask, datatype):
    columns = {"image": [image.tolist()], "mask": [mask.tolist()]}
    content = {"inputs": columns, "signature_name": "labels"}
    return np.array(client.post(PREDICT, json=content).json()["outputs"][0])


@given(scenes(max_side=40, channels=1), st.sampled_from(sorted(DATATYPES)))
def test_every_protocol_gives_the_same_labels(client, scene, datatype):
    image = scene.image.astype(DATATYPES[datatype])
    valid = np.where(scene.mask[..., None], image, 0)[None].astype(np.float32)
    expected = FakeRuntime().run(valid, scene.mask[None], probabilities=False).labels[0]

    for ask in (
        ask_native,
        ask_infer_json,
        ask_infer_binary,
        ask_predict_rows,
        ask_predict_columns,
    ):
        assert np.array_equal(ask(client, image, scene.mask, datatype), expected), ask.__name__


def make_request(protocol, image):
    """Give path and JSON of a request for one image."""
    if protocol == "oip":
        nested = image[None, ..., None].tolist()
        shape = [1, *image.shape, 1]
        tensor = {"name": "image", "shape": shape, "datatype": "UINT8", "data": nested}
        return INFER, {"inputs": [tensor]}
    return PREDICT, {"instances": [image.tolist()]}


def ask(client, protocol, image, **options):
    path, content = make_request(protocol, image)
    return client.post(path, json=content, **options)


def check_error(response, status, *words):
    assert (response.status_code, list(response.json())) == (status, ["error"]), response.text
    for word in words:
        assert word in response.json()["error"]


PROTOCOLS = pytest.mark.parametrize("protocol", ["oip", "tfserving"])
SEVENS = np.full((9, 9), 7, np.uint8)


@contextmanager
def serve_parts(root, runtime, policy=None, body_limits=None):
    """Run an application, and give a client of it together with its services."""
    repository = load_repository(make_repository_folder(root), lambda _: runtime)
    services = make_services(repository, body_limits, admission=policy)
    with TestClient(make_app(services), raise_server_exceptions=False) as client:
        yield client, services


class FailsOnSevens(FakeRuntime):
    """Passes the contract check, then fails on images of one colour."""

    error: Exception = InferenceError("the model failed: out of memory")

    def run(self, images, masks, *, probabilities, keep=None):
        if np.count_nonzero(images[masks] == 7) == 81:
            raise self.error
        return super().run(images, masks, probabilities=probabilities, keep=keep)


class CrashesOnSevens(FailsOnSevens):
    error = ZeroDivisionError("secret pixel 42")


@PROTOCOLS
def test_a_model_that_fails_is_said(tmp_path, protocol):
    with serve_parts(tmp_path, FailsOnSevens()) as (client, services):
        check_error(ask(client, protocol, SEVENS), 500, "out of memory")
        assert services.exchange.statistics.find("fake", "1").fail.count == 1


@PROTOCOLS
def test_an_unexpected_error_tells_nothing_but_its_id(tmp_path, protocol):
    with serve_parts(tmp_path, CrashesOnSevens()) as (client, _):
        response = ask(client, protocol, SEVENS)

    check_error(response, 500, "this request's id")
    assert "secret" not in response.text
    assert response.headers["x-request-id"]


@PROTOCOLS
def test_one_bad_image_fails_its_request_and_no_other(tmp_path, protocol):
    with serve_parts(tmp_path, FailsOnSevens()) as (client, _):
        images = np.stack([SEVENS, SEVENS + 1])
        if protocol == "oip":
            nested = images[..., None].tolist()
            tensor = {"name": "image", "shape": [2, 9, 9, 1], "datatype": "UINT8", "data": nested}
            response = client.post(INFER, json={"inputs": [tensor]})
        else:
            response = client.post(PREDICT, json={"instances": images.tolist()})

        check_error(response, 500, "out of memory")
        assert ask(client, protocol, SEVENS + 1).status_code == 200


@PROTOCOLS
def test_who_comes_when_there_is_too_much_to_do_is_told_when_to_come_again(tmp_path, protocol):
    policy = AdmissionPolicy(max_pending=1)
    with serve_parts(tmp_path, FakeRuntime(), policy) as (client, services):
        with services.gate.reserve(0):
            response = ask(client, protocol, SEVENS)

        check_error(response, 429, "must be at most 1")
        assert int(response.headers["retry-after"]) >= 1
        assert ask(client, protocol, SEVENS).status_code == 200


@PROTOCOLS
def test_what_a_body_unfolds_to_counts_as_well(tmp_path, protocol):
    path, content = make_request(protocol, np.zeros((50, 50), np.uint8))
    body = gzip.compress(json.dumps(content).encode())
    headers = {"Content-Encoding": "gzip"}
    policy = AdmissionPolicy(max_pending_bytes=3000)
    with serve_parts(tmp_path, FakeRuntime(), policy) as (client, services):
        with services.gate.reserve(1):
            check_error(client.post(path, content=body, headers=headers), 429, "3000 bytes")

        # A single body is limited elsewhere.
        assert client.post(path, content=body, headers=headers).status_code == 200


@PROTOCOLS
def test_100_mb_of_digits_are_refused(tmp_path, protocol):
    def stream():
        for _ in range(100):
            yield b"1" * 1_000_000

    with serve_parts(tmp_path, FakeRuntime(), body_limits=BodyLimits(200_000)) as (client, _):
        path, _ = make_request(protocol, SEVENS)
        check_error(client.post(path, content=stream()), 413, "at most 200000 bytes")


@PROTOCOLS
def test_answers_say_what_they_took(client, protocol):
    response = ask(client, protocol, SEVENS, headers={"X-Request-ID": "trace-7"})

    stages = dict(part.split(";dur=") for part in response.headers["server-timing"].split(", "))
    assert list(stages) == ["decode", "queue", "infer", "encode"]
    assert int(response.headers["lacuna-computed-pixels"]) >= SEVENS.size
    assert response.headers["x-request-id"] == "trace-7"


@PROTOCOLS
def test_an_image_without_a_valid_pixel_is_answered_without_the_model(client, protocol):
    path, content = make_request(protocol, SEVENS)
    mask = np.zeros_like(SEVENS)
    if protocol == "oip":
        content["inputs"].append(describe("mask", mask, "UINT8", data=mask.ravel().tolist()))
    else:
        content = {"instances": [{"image": SEVENS.tolist(), "mask": mask.tolist()}]}
    response = client.post(path, json=content)

    assert response.status_code == 200
    assert response.headers["lacuna-computed-pixels"] == "0"
    assert response.text.count("255") == SEVENS.size


@PROTOCOLS
def test_requests_are_counted_by_their_protocol(tmp_path, protocol):
    with serve_parts(tmp_path, FakeRuntime()) as (client, _):
        ask(client, protocol, SEVENS)
        metrics = client.get("/metrics").text

    labels = f'lacuna_requests_total{{model="fake",outcome="ok",protocol="{protocol}"}} 1.0'
    assert labels in metrics
    assert 'lacuna_pixels_total{kind="image"} 81.0' in metrics


@PROTOCOLS
def test_what_is_done_for_a_client_that_left_is_given_up(tmp_path, protocol, caplog):
    runtime = Gated()
    runtime.go.set()
    with serve_parts(tmp_path, runtime) as (client, _):
        runtime.go.clear()
        runtime.begun.clear()
        path, content = make_request(protocol, SEVENS)
        sent = []

        async def leave():
            messages = [{"type": "http.request", "body": json.dumps(content).encode()}]
            scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode()}
            scope |= {"headers": [], "query_string": b"", "http_version": "1.1"}

            async def receive():
                return messages.pop() if messages else {"type": "http.disconnect"}

            async def send(message):
                sent.append(message)

            await asyncio.wait_for(client.app(scope, receive, send), 20)

        with caplog.at_level(logging.INFO):
            asyncio.run(leave())
        runtime.go.set()

        assert sent == []
        assert any(getattr(line, "outcome", "") == "client gone" for line in caplog.records)
        assert ask(client, protocol, SEVENS).status_code == 200
