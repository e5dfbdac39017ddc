import io
import json
import logging

import numpy as np
import pytest

from lacuna.outputs import OUTPUT_TYPES
from service.runtime.fake import FakeRuntime
from service.wire.native.parameters import STRETCHES
from tests.service.web.test_metrics import scrape
from tests.service.web.test_segment import check_problem
from tests.support.apps import load_repository, make_repository_folder, serve
from tests.support.images import noise, npy_file, tiff_file
from tests.support.trained import describe_trained

HEADER = "X-Lacuna-Warnings"
SCENE = noise(48, 64, 1)
DARK = SCENE // 40
MASK = noise(48, 64, seed=4) < 200
WARNED = {"unlike_training"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "trained/1", "untold/1")

    def load(folder):
        trained = folder.parent.name == "trained"
        return FakeRuntime(describe_trained()) if trained else FakeRuntime()

    with serve(load_repository(root, load)) as client:
        yield client


def segment(client, image, accept="application/json", model="trained", **fields):
    response = client.post(
        "/v1/segment",
        files={"image": image},
        data={"model": model} | fields,
        headers={"Accept": accept},
    )
    assert response.status_code == 200, response.text
    return response


def read_warnings(response):
    text = response.headers.get(HEADER)
    return {warning["code"] for warning in json.loads(text)} if text else set()


def read_labels(response):
    return np.load(io.BytesIO(response.content))


@pytest.mark.parametrize(
    "accept", [kind.media_type for kind in OUTPUT_TYPES if kind.place != "needed"]
)
def test_every_type_of_answer_has_the_header(client, accept):
    assert read_warnings(segment(client, npy_file(DARK), accept)) == WARNED
    assert read_warnings(segment(client, npy_file(SCENE), accept)) == set()


def test_json_has_the_same_warnings_as_the_header(client):
    response = segment(client, npy_file(DARK))

    assert response.json()["warnings"] == json.loads(response.headers[HEADER])
    assert segment(client, npy_file(SCENE)).json()["warnings"] == []


def test_the_values_that_the_model_is_given_count_not_those_of_the_file(client):
    deep = SCENE[:, :, 0].astype(np.uint16)

    assert read_warnings(segment(client, tiff_file(deep * 257))) == set()
    assert read_warnings(segment(client, npy_file(deep * 257))) == WARNED
    assert read_warnings(segment(client, tiff_file(deep))) == WARNED
    assert read_warnings(segment(client, npy_file(deep))) == set()
    assert read_warnings(segment(client, npy_file((SCENE / 255).astype(np.float32)))) == WARNED


def test_a_no_data_value_that_was_not_named_is_warned_of(client):
    values = np.where(MASK[:, :, None], SCENE, np.float32(-9999))

    assert read_warnings(segment(client, npy_file(values))) == WARNED
    assert read_warnings(segment(client, npy_file(values), nodata="-9999")) == set()


def test_a_model_without_statistics_warns_of_nothing(client):
    response = segment(client, npy_file(DARK), model="untold")

    assert HEADER not in response.headers
    assert response.json()["warnings"] == []


def infer(client, images):
    body = {
        "inputs": [
            {
                "name": "image",
                "shape": images.shape,
                "datatype": "UINT8",
                "data": images.ravel().tolist(),
            }
        ]
    }
    response = client.post("/v2/models/trained/infer", json=body)
    assert response.status_code == 200, response.text
    return response


def test_the_open_inference_protocol_has_them_as_a_parameter_too(client):
    response = infer(client, np.stack([SCENE, DARK]))

    parameter = response.json()["parameters"]["warnings"]
    assert json.loads(parameter) == json.loads(response.headers[HEADER])
    assert "image 1 is unlike" in json.loads(parameter)[0]["message"]
    assert "parameters" not in infer(client, np.stack([SCENE, SCENE])).json()


def test_tensorflow_serving_has_the_header(client):
    def predict(image):
        body = {"signature_name": "labels", "instances": [{"image": image.tolist()}]}
        response = client.post("/v1/models/trained:predict", json=body)
        assert set(response.json()) == {"predictions"}
        return response

    assert read_warnings(predict(DARK)) == WARNED
    assert read_warnings(predict(SCENE)) == set()


def test_hosting_platforms_have_the_header_and_the_stretch(client):
    def predict(**parameters):
        instances = [{"image": (image / 255).tolist()} for image in (SCENE, DARK)]
        body = {"signature_name": "labels", "instances": instances}
        body["parameters"] = {"model": "trained"} | parameters
        response = client.post("/invocations", json=body)
        assert response.status_code == 200, response.text
        return response

    assert read_warnings(predict()) == WARNED
    stretched = predict(stretch="percentile")
    assert read_warnings(stretched) == set()
    for labels, image in zip(stretched.json()["predictions"], (SCENE, DARK), strict=True):
        by_hand = stretch_reference(image / np.float32(255), np.ones((48, 64), np.bool_))
        expected = segment(client, npy_file(by_hand.astype(np.float32)), "application/x-npy")
        assert np.array_equal(labels, read_labels(expected))


def test_warned_answers_are_counted_and_logged(client, caplog):
    def count():
        return scrape(client).get(("lacuna_warnings_total", "unlike_training", "trained"), 0)

    before = count()
    with caplog.at_level(logging.INFO, "service.web.request_log"):
        segment(client, npy_file(DARK))
        segment(client, npy_file(SCENE))

    assert count() - before == 1
    logged = [getattr(r, "warnings", None) for r in caplog.records if r.message == "request"]
    assert logged.count("unlike_training") == 1


def stretch_reference(values, valid):
    """From 2nd and 98th percentile to 5 and 250, as the fake model's statistics have them."""
    low, high = np.percentile(values[valid].astype(float), (2, 98))
    return np.clip((values.astype(float) - low) / (high - low) * 245 + 5, 0, 255)


def test_a_stretched_image_is_segmented_as_one_that_was_stretched_before(client):
    values = (SCENE / 255).astype(np.float32)
    by_hand = stretch_reference(values, np.ones((48, 64), np.bool_)).astype(np.float32)

    stretched = segment(client, npy_file(values), "application/x-npy", stretch="percentile")
    expected = segment(client, npy_file(by_hand), "application/x-npy")
    assert np.array_equal(read_labels(stretched), read_labels(expected))
    assert read_warnings(stretched) == set()
    plain = segment(client, npy_file(values), "application/x-npy", stretch="none")
    assert not read_labels(plain).any()


def test_stretching_keeps_the_promise(client):
    values = np.where(MASK[:, :, None], SCENE / np.float32(255), np.float32(7e30))
    canvas = np.pad(values, [(0, 21), (0, 13), (0, 0)], constant_values=-5)
    mask = np.pad(MASK, [(0, 21), (0, 13)])
    found = []
    for image, valid in ((values, MASK), (canvas, mask)):
        response = client.post(
            "/v1/segment?model=trained&stretch=percentile",
            files={"image": npy_file(image.astype(np.float32)), "mask": npy_file(valid)},
            headers={"Accept": "application/x-npy"},
        )
        found.append(read_labels(response))

    assert np.array_equal(found[0], found[1][:48, :64])
    assert len(np.unique(found[0][MASK])) == 3


def test_a_model_without_statistics_cannot_stretch(client):
    for path in ("/v1/segment", "/v1/preview"):
        response = client.post(f"{path}?model=untold&stretch=percentile", content=npy_file(SCENE))
        check_problem(response, 400, "malformed_request", "model fake has none")


def test_an_unknown_stretch_is_refused_with_the_known_ones(client):
    response = client.post("/v1/segment?model=trained&stretch=gamma", content=npy_file(SCENE))

    check_problem(response, 400, "malformed_request", *STRETCHES, "'gamma'")


def test_models_tell_what_they_were_trained_on(client):
    trained, untold = client.get("/v1/models").json()["models"]

    assert trained["image"]["statistics"][0]["mean"] == 127.5
    assert "statistics" not in untold["image"]
