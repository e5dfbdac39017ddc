import io
import json
import logging

import numpy as np
import pytest
from PIL import Image

from lacuna.errors import InferenceError
from lacuna.outputs import OUTPUT_TYPES
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import write_npy
from service.listening.body_limits import BodyLimits
from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (37, 53), np.uint8)
MASK = RNG.random((37, 53)) < 0.7
SEVENS = encode_image(np.full((9, 9), 7, np.uint8))
PNG, MASK_PNG = encode_image(IMAGE), encode_image(MASK)
EXPECTED = FakeRuntime().run(
    np.where(MASK, IMAGE, 0)[None, :, :, None].astype(np.float32), MASK[None], probabilities=True
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve(load_repository(root), BodyLimits(200_000), ImageLimits(100_000)) as client:
        yield client


def post(client, accept="application/x-npy", headers=None, **options):
    return client.post("/v1/segment", headers={"Accept": accept} | (headers or {}), **options)


def post_files(client, image=PNG, mask=MASK_PNG, accept="application/x-npy", **options):
    files = {"image": image} | ({} if mask is None else {"mask": mask})
    return post(client, accept, files=files, **options)


def read_labels(response):
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content))


def check_problem(response, status, code, *words):
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"], problem


def test_a_form_is_answered(client):
    assert np.array_equal(read_labels(post_files(client)), EXPECTED.labels[0])


def test_json_is_answered(client):
    response = post(client, json={"image": IMAGE.tolist(), "mask": MASK.tolist()})

    assert np.array_equal(read_labels(response), EXPECTED.labels[0])


def test_a_raw_image_is_answered(client):
    rgba = np.stack([IMAGE, MASK * np.uint8(255)], axis=2)
    response = post(client, content=encode_image(rgba), headers={"Content-Type": "image/png"})

    assert np.array_equal(read_labels(response), EXPECTED.labels[0])


def test_without_a_wish_the_answer_is_json(client):
    response = client.post("/v1/segment", files={"image": PNG, "mask": MASK_PNG})

    assert response.headers["content-type"] == "application/json"
    assert response.json()["size"] == {"height": 37, "width": 53}


def test_png_shows_the_labels(client):
    response = post_files(client, accept="image/png")

    assert response.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(response.content))), EXPECTED.labels[0])


def test_zip_holds_probabilities(client):
    content = np.load(io.BytesIO(post_files(client, accept="application/zip").content))

    assert np.array_equal(content["labels"], EXPECTED.labels[0])
    assert np.array_equal(content["probabilities"], EXPECTED.probabilities[0] * MASK[..., None])


def test_the_stages_are_timed(client):
    timing = post_files(client).headers["server-timing"]

    stages = dict(part.split(";dur=") for part in timing.split(", "))
    assert list(stages) == ["decode", "queue", "infer", "encode"]
    assert all(float(value) >= 0 for value in stages.values())


def test_a_usable_request_id_is_sent_back(client):
    response = client.get("/livez", headers={"X-Request-ID": "trace-7"})

    assert response.headers["x-request-id"] == "trace-7"


@pytest.mark.parametrize("given", ["", "x" * 129, "new\tline", "a b"])
def test_another_request_id_is_replaced(client, given):
    made = client.get("/livez", headers={"X-Request-ID": given}).headers["x-request-id"]

    assert made != given
    assert len(made) == 32


def test_one_line_is_logged_for_a_request(client, caplog):
    with caplog.at_level(logging.INFO):
        post_files(client)

    (record,) = [line for line in caplog.records if line.name == "service.web.request_log"]
    assert (record.status, record.model, record.height, record.width) == (200, "fake", 37, 53)
    assert record.valid_pixels == MASK.sum()
    assert record.infer_ms >= 0


def test_a_refused_request_is_logged_with_its_code(client, caplog):
    with caplog.at_level(logging.INFO):
        post_files(client, image=b"GIF89a")

    (record,) = [line for line in caplog.records if line.name == "service.web.request_log"]
    assert (record.status, record.code) == (415, "unsupported_media_type")


def test_an_empty_body_is_refused(client):
    check_problem(post(client, content=b""), 400, "empty_body", "0 bytes")


def test_a_form_without_an_image_is_refused(client):
    check_problem(post(client, files={"mask": MASK_PNG}), 400, "empty_body", "it has mask")


def test_an_unknown_type_is_refused(client):
    response = post(client, content=b"%PDF-1.7 ...", headers={"Content-Type": "application/pdf"})

    check_problem(response, 415, "unsupported_media_type", "PNG")


def test_text_declared_as_an_image_is_no_image(client):
    response = post(client, content=b"hello", headers={"Content-Type": "image/png"})

    check_problem(response, 422, "invalid_image", "not an image")


def test_a_truncated_png_is_refused(client):
    check_problem(post_files(client, image=PNG[:-40]), 422, "invalid_image", "PNG")


def test_a_mask_of_another_size_is_refused(client):
    check_problem(
        post_files(client, mask=encode_image(MASK[:, :-1])),
        422,
        "invalid_mask",
        "image is 37×53, mask is 37×52",
    )


def test_a_coloured_mask_is_refused(client):
    coloured = RNG.integers(0, 256, (37, 53, 3), np.uint8)

    check_problem(post_files(client, mask=encode_image(coloured)), 422, "invalid_mask", "differ")


def test_another_number_of_channels_is_refused(client):
    five = write_npy(np.zeros((37, 53, 5), np.uint8))

    check_problem(post_files(client, image=five), 422, "channel_mismatch", "fake", "1 channel", "5")


def test_an_image_of_a_hundred_thousand_squared_is_refused_from_its_header(client):
    header = write_npy(np.zeros((1, 1), np.uint8)).replace(b"(1, 1)", b"(100000, 100000)")

    check_problem(post_files(client, image=header), 413, "image_too_large", "100000×100000")


def test_an_image_without_pixels_is_refused(client):
    empty = write_npy(np.zeros((0, 5), np.uint8))

    check_problem(post_files(client, image=empty), 422, "invalid_image", "0×5")


def test_a_body_that_announces_too_much_is_refused(client):
    check_problem(post(client, content=bytes(200_001)), 413, "body_too_large", "200000 bytes")


def test_a_body_that_grows_too_large_is_refused(client):
    def stream():
        for _ in range(5):
            yield bytes(50_000)

    check_problem(post(client, content=stream()), 413, "body_too_large", "200000 bytes")


def test_a_pickled_array_is_refused(client):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)

    check_problem(post_files(client, image=buffer.getvalue()), 422, "invalid_image", "NPY")


def test_ragged_rows_are_refused(client):
    check_problem(post(client, json={"image": [[1, 2], [3]]}), 422, "invalid_image", "one length")


def test_bad_run_lengths_are_refused(client):
    mask = {"size": [1, 2], "counts": [3]}

    check_problem(post(client, json={"image": [[1, 2]], "mask": mask}), 422, "invalid_mask")


def test_broken_json_is_refused(client):
    response = post(client, content=b'{"image": ', headers={"Content-Type": "application/json"})

    check_problem(response, 400, "malformed_request", "JSON")


def test_an_unknown_model_is_refused(client):
    check_problem(post_files(client, data={"model": "x"}), 404, "unknown_model", "fake; not x")


@pytest.mark.parametrize("version", ["2", "../1", "latest"])
def test_an_unknown_version_is_refused(client, version):
    check_problem(post_files(client, data={"version": version}), 404, "unknown_version", "has 1")


def test_an_unknown_parameter_is_refused(client):
    response = post_files(client, params={"treshold": "1"})

    check_problem(response, 400, "malformed_request", "it is treshold")


def test_an_answer_of_another_type_is_refused(client):
    check_problem(post_files(client, accept="text/html"), 406, "not_acceptable", "image/png")


def test_a_deadline_that_has_passed_is_said(client):
    check_problem(post_files(client, data={"timeout_s": "1e-9"}), 504, "deadline_exceeded")


def test_another_method_is_refused_as_a_problem(client):
    check_problem(client.get("/v1/segment"), 405, "method_not_allowed", "GET /v1/segment")


def test_an_unknown_path_is_refused_as_a_problem(client):
    check_problem(client.get("/v3/segment"), 404, "not_found", "/v3/segment")


def serve_runtime(tmp_path, runtime_class):
    return serve(load_repository(make_repository_folder(tmp_path), lambda _: runtime_class()))


class FailsWhenAsked(FakeRuntime):
    """Passes the contract check, then fails on images of one colour."""

    error: Exception = InferenceError("the model failed: out of memory")

    def run(self, images, masks, *, probabilities, keep=None):
        if np.count_nonzero(images[masks] == 7) == 81:
            raise self.error
        return super().run(images, masks, probabilities=probabilities, keep=keep)


class CrashesWhenAsked(FailsWhenAsked):
    error = ZeroDivisionError("secret pixel 42")


def test_a_model_that_fails_is_said(tmp_path):
    with serve_runtime(tmp_path, FailsWhenAsked) as client:
        check_problem(post(client, content=SEVENS), 500, "inference_failed", "out of memory")


def test_an_unexpected_error_tells_nothing_but_its_id(tmp_path, caplog):
    with serve_runtime(tmp_path, CrashesWhenAsked) as client:
        response = post(client, content=SEVENS)

    check_problem(response, 500, "internal_error", "this request's id")
    assert "secret" not in response.text
    (record,) = [line for line in caplog.records if line.message == "unexpected error"]
    assert record.request_id == response.headers["x-request-id"]


def test_openapi_describes_every_body_and_answer(client):
    operation = client.get("/openapi.json").json()["paths"]["/v1/segment"]["post"]

    assert list(operation["requestBody"]["content"]) == [
        "multipart/form-data",
        "application/json",
        "image/*",
        "application/x-npy",
    ]
    answers = list(operation["responses"]["200"]["content"])
    assert answers[:1] == ["application/json"]
    assert sorted(answers) == sorted(kind.media_type for kind in OUTPUT_TYPES)
    assert {"400", "404", "406", "413", "415", "422", "500", "503", "504"} <= set(
        operation["responses"]
    )
    json.dumps(operation)
