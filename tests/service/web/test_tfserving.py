"""TensorFlow Serving's REST API on a real socket, with what its examples use."""

import base64
import gzip
import json

import numpy as np
import pytest
import requests

from lacuna.errors import InvalidGraphError
from lacuna.raster.limits import ImageLimits
from service.engine.lifecycle.repository import ModelRepository
from service.listening.body_limits import BodyLimits
from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_fake, make_repository_folder
from tests.support.live import serve_live

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (37, 53), np.uint8)
MASK = RNG.random((37, 53)) < 0.7
EXPECTED = FakeRuntime().run(
    np.where(MASK, IMAGE, 0)[None, :, :, None].astype(np.float32), MASK[None], probabilities=True
)
LABELS = EXPECTED.labels[0]
PROBABILITIES = EXPECTED.probabilities[0] * MASK[..., None]
ROW = {"image": IMAGE.tolist(), "mask": MASK.tolist()}
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    limits = {"body_limits": BodyLimits(200_000), "image_limits": ImageLimits(20_000)}
    with serve_live(ModelRepository(root, load_fake), **limits) as host:
        yield f"http://{host}/v1/models/fake"


def post(url, content, path=":predict", **headers):
    return requests.post(f"{url}{path}", json=content, headers=headers, timeout=TIMEOUT_S)


def read(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def check_error(response, status, *words):
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"], response.text
    assert response.status_code == status, response.text
    for word in words:
        assert word in response.json()["error"]


def test_rows_are_answered_by_rows(url):
    (row,) = read(post(url, {"instances": [ROW]}))["predictions"]

    assert np.array_equal(row["labels"], LABELS)
    assert np.array_equal(row["probabilities"], PROBABILITIES)


def test_columns_are_answered_by_columns(url):
    inputs = {"image": [ROW["image"]], "mask": [ROW["mask"]]}
    outputs = read(post(url, {"inputs": inputs, "signature_name": "serving_default"}))["outputs"]

    assert np.array_equal(outputs["labels"], [LABELS])
    assert np.array_equal(outputs["probabilities"], [PROBABILITIES])


def test_a_single_output_is_bare(url):
    rows = read(post(url, {"instances": [ROW], "signature_name": "labels"}))
    columns = read(post(url, {"inputs": [ROW["image"]], "signature_name": "labels"}))

    assert np.array_equal(rows["predictions"], [LABELS])
    assert np.shape(columns["outputs"]) == (1, 37, 53)


def test_rows_may_be_of_different_sizes(url):
    rows = [{"image": IMAGE[:side, :9].tolist()} for side in (1, 5, 21)]
    answers = read(post(url, {"instances": rows, "signature_name": "labels"}))["predictions"]

    assert [np.shape(answer) for answer in answers] == [(1, 9), (5, 9), (21, 9)]


def test_an_image_file_in_base64_is_read_as_in_the_examples(url):
    """`'{"instances": [{"b64": "%s"}]}' % jpeg_bytes`, as resnet_client.py has it."""
    rgba = encode_image(np.stack([IMAGE, MASK * np.uint8(255)], axis=2))
    body = f'{{"instances": [{{"b64": "{base64.b64encode(rgba).decode()}"}}]}}'
    response = requests.post(f"{url}:predict", data=body, timeout=TIMEOUT_S)
    response.raise_for_status()

    assert np.array_equal(response.json()["predictions"][0]["labels"], LABELS)


def test_a_body_of_json_text_needs_no_content_type(url):
    """`json.dumps({"signature_name": …, "instances": images.tolist()})`, as the tutorial has it."""
    data = json.dumps({"signature_name": "labels", "instances": IMAGE[None, ..., None].tolist()})
    headers = {"content-type": "application/json"}
    with_type = requests.post(f"{url}:predict", data=data, headers=headers, timeout=TIMEOUT_S)
    without = requests.post(f"{url}:predict", data=data, timeout=TIMEOUT_S)

    assert read(with_type) == read(without)


def test_not_a_number_is_a_missing_pixel(url):
    text = json.dumps({"instances": [[[1.0, float("nan")], [float("inf"), 200.0]]]})
    assert "NaN" in text
    (row,) = read(requests.post(f"{url}:predict", data=text, timeout=TIMEOUT_S))["predictions"]

    assert np.equal(row["labels"], 255).tolist() == [[False, True], [True, False]]


def test_a_compressed_body_is_read_and_a_compressed_answer_sent(url):
    body = gzip.compress(json.dumps({"instances": [ROW]}).encode())
    response = requests.post(
        f"{url}:predict",
        data=body,
        headers={"Content-Encoding": "gzip", "Accept-Encoding": "gzip"},
        timeout=TIMEOUT_S,
    )

    assert response.headers["content-encoding"] == "gzip"
    assert np.array_equal(read(response)["predictions"][0]["labels"], LABELS)


@pytest.mark.parametrize(
    "path", ["/versions/1:predict", "/labels/stable:predict", "/labels/latest:predict"]
)
def test_a_version_is_named_by_its_number_or_a_label(url, path):
    (row,) = read(post(url, {"instances": [ROW]}, path))["predictions"]

    assert np.array_equal(row["labels"], LABELS)


@pytest.mark.parametrize("path", ["", "/versions/1", "/labels/stable"])
def test_the_status_is_told(url, path):
    status = read(requests.get(f"{url}{path}", timeout=TIMEOUT_S))

    assert (status["name"], status["ready"]) == ("fake", True)
    assert status["model_version_status"] == [
        {
            "version": "1",
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
    ]


@pytest.mark.parametrize("path", ["", "/versions/1", "/labels/latest"])
def test_metadata_are_told(url, path):
    metadata = read(requests.get(f"{url}{path}/metadata", timeout=TIMEOUT_S))

    assert metadata["model_spec"] == {"name": "fake", "signature_name": "", "version": "1"}
    assert "serving_default" in metadata["metadata"]["signature_def"]["signature_def"]


def test_a_version_that_failed_says_why_and_answers_503(tmp_path):
    def load(folder):
        if folder.parent.name == "bad":
            raise InvalidGraphError("saved_model.pb must be one that loads")
        return FakeRuntime()

    root = make_repository_folder(tmp_path, "bad/1", "good/1")
    with serve_live(ModelRepository(root, load), wait=False) as host:
        good, bad = f"http://{host}/v1/models/good", f"http://{host}/v1/models/bad"
        while post(good, {"instances": [ROW]}).status_code != 200:
            pass
        check_error(post(bad, {"instances": [ROW]}), 503, "bad is failed")
        answer = requests.get(bad, timeout=TIMEOUT_S).json()
        (status,) = answer["model_version_status"]

    assert answer["ready"] is False
    assert (status["state"], status["status"]["error_code"]) == ("END", "INTERNAL")
    assert status["status"]["error_message"] == "saved_model.pb must be one that loads"


def test_a_model_without_a_version_has_no_status(tmp_path):
    with serve_live(ModelRepository(tmp_path, load_fake, ("ghost",)), wait=False) as host:
        response = requests.get(f"http://{host}/v1/models/ghost", timeout=TIMEOUT_S)

    check_error(response, 404, "a model must have a version; ghost has none")


def test_the_list_of_models_stays_the_services_own(url):
    models = read(requests.get(url.removesuffix("/fake"), timeout=TIMEOUT_S))["models"]

    assert models[0]["contract"]["padding_invariant"] is True


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ({}, 400, "it has neither"),
        ({"instances": [ROW], "inputs": {}}, 400, "it has both"),
        ({"instances": []}, 400, "it holds none"),
        ({"instances": [ROW], "signature_name": "x"}, 400, "one of serving_default, labels"),
        ({"instances": [{"pixels": [[1]]}]}, 400, "pixels is neither"),
        ({"instances": [[[1, 2], [3]]]}, 400, "rows of one length"),
        ({"instances": [{"image": [[1]], "mask": [[1, 0]]}]}, 400, "image is 1×1, mask is 1×2"),
        ({"instances": [[[[1, 2]]]]}, 400, "model fake takes 1 channel; the image has 2"),
        ({"instances": [{"b64": "R0lGODlh"}]}, 415, "it is GIF"),
        ({"instances": [[[0] * 20_001]]}, 413, "at most 20000 pixels"),
        ({"instances": [[[0] * 15_000]] * 2}, 413, "at most 20000 pixels together"),
        ({"instances": [[[1]]] * 257}, 400, "at most 256 images"),
        ([], 400, "JSON object"),
    ],
)
def test_a_bad_request_is_refused_in_the_protocols_shape(url, content, status, words):
    check_error(post(url, content), status, words)


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"", {}, 400, "0 bytes"),
        (b'{"instances": [', {}, 400, "must be JSON"),
        (b'{"instances": ' + b"[" * 50_000, {}, 400, "recursion limit"),
        (b'{"instances": ' + b"1" * 100_000, {}, 400, "must be JSON"),
        (b"1" * 200_001, {}, 413, "at most 200000 bytes"),
        (b"x", {"Content-Encoding": "br"}, 415, "one of gzip, deflate"),
        (b"plain text", {"Content-Encoding": "gzip"}, 400, "must be gzip"),
        (gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"}, 413, "decompressed"),
    ],
    ids=["empty", "open", "deep", "digits", "too large", "unknown coding", "no gzip", "bomb"],
)
def test_a_body_that_is_no_request_is_refused(url, body, headers, status, words):
    response = requests.post(f"{url}:predict", data=body, headers=headers, timeout=TIMEOUT_S)

    check_error(response, status, words)


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/versions/2:predict", 404, "fake has 1, not 2"),
        ("POST", "/versions/..%2F1:predict", 404, "Not Found"),
        ("POST", "/labels/canary:predict", 404, "label must be one of"),
        ("GET", "/versions/2", 404, "version of fake must be one of 1; it is 2"),
        ("GET", "/labels/canary", 404, "label must be one of"),
        ("GET", "/versions/2/metadata", 404, "not 2"),
        ("POST", ":classify", 405, "Method Not Allowed: POST"),
        ("POST", "/metadata", 405, "Method Not Allowed"),
        ("GET", "/nothing", 404, "Not Found: GET"),
        ("GET", "x", 404, "fake; not fakex"),
        ("GET", "x/metadata", 404, "fake; not fakex"),
        ("POST", "x:predict", 404, "fake; not fakex"),
        ("GET", "/", 404, "Not Found: GET"),
    ],
)
def test_what_is_not_there_is_refused_in_the_same_shape(url, method, path, status, words):
    content = {"instances": [[[1]]]}
    response = requests.request(method, f"{url}{path}", json=content, timeout=TIMEOUT_S)

    check_error(response, status, words)
