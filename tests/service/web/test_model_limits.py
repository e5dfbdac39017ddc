"""Each model's own limit of pixels, in every protocol and form of body."""

import base64
import json
from functools import partial

import numpy as np
import pytest

from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import write_npy
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

LIMIT = 100
FITS, TOO_LARGE = np.full((10, 10), 7, np.uint8), np.full((10, 11), 7, np.uint8)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "small/1", "large/1")
    limits = ImageLimits(image_pixels=1000)
    with serve(load_repository(root), image_limits=limits, model_pixels={"small": LIMIT}) as client:
        yield client


def encode_b64(image):
    return base64.b64encode(encode_image(image)).decode()


def ask_form(client, model, image):
    return client.post("/v1/segment", files={"image": encode_image(image)}, data={"model": model})


def ask_raw(client, model, image, encode=encode_image):
    return client.post("/v1/segment", params={"model": model}, content=encode(image))


def ask_json(client, model, image):
    return client.post("/v1/segment", json={"model": model, "image": image.tolist()})


def ask_json_file(client, model, image):
    return client.post("/v1/segment", json={"model": model, "image": {"b64": encode_b64(image)}})


def ask_infer(client, model, image, images=1):
    shape = [images, *image.shape, 1]
    data = np.broadcast_to(image, shape[:3]).ravel().tolist()
    tensor = {"name": "image", "shape": shape, "datatype": "UINT8", "data": data}
    return client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})


def ask_infer_binary(client, model, image):
    parameters = {"binary_data_size": image.size}
    shape = [1, *image.shape, 1]
    tensor = {"name": "image", "shape": shape, "datatype": "UINT8", "parameters": parameters}
    text = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    body = text + image.tobytes()
    return client.post(f"/v2/models/{model}/infer", content=body, headers=headers)


def ask_predict(client, model, image, images=1):
    rows = [image.tolist()] * images
    return client.post(f"/v1/models/{model}:predict", json={"instances": rows})


def ask_predict_columns(client, model, image):
    columns = {"image": [image.tolist()]}
    return client.post(f"/v1/models/{model}/versions/1:predict", json={"inputs": columns})


def ask_predict_file(client, model, image):
    rows = [{"b64": encode_b64(image)}]
    return client.post(f"/v1/models/{model}:predict", json={"instances": rows})


NATIVE = {
    "form": ask_form,
    "raw": ask_raw,
    "raw array": partial(ask_raw, encode=write_npy),
    "JSON": ask_json,
    "JSON file": ask_json_file,
}
OTHERS = {
    "infer": ask_infer,
    "binary infer": ask_infer_binary,
    "predict": ask_predict,
    "predict columns": ask_predict_columns,
    "predict file": ask_predict_file,
}
ALL = NATIVE | OTHERS


@pytest.mark.parametrize("form", ALL)
def test_an_image_beyond_its_models_limit_is_refused_with_the_models_name(client, form):
    response = ALL[form](client, "small", TOO_LARGE)

    assert response.status_code == 413
    message = response.json()["detail" if form in NATIVE else "error"]
    assert "image for model small must have at most 100 pixels; it is 10×11" in message


@pytest.mark.parametrize("form", NATIVE)
def test_the_native_protocol_says_so_with_the_code_of_every_image_that_is_too_large(client, form):
    assert NATIVE[form](client, "small", TOO_LARGE).json()["code"] == "image_too_large"


@pytest.mark.parametrize("form", ALL)
def test_an_image_within_its_models_limit_is_segmented(client, form):
    assert ALL[form](client, "small", FITS).status_code == 200


@pytest.mark.parametrize("form", ALL)
def test_another_model_has_the_servers_limit(client, form):
    assert ALL[form](client, "large", TOO_LARGE).status_code == 200
    response = ALL[form](client, "large", np.zeros((10, 101), np.uint8))

    assert response.status_code == 413
    assert "image must have at most 1000 pixels; it is 10×101" in response.text


@pytest.mark.parametrize("ask", [ask_infer, ask_predict], ids=["infer", "predict"])
def test_the_images_of_a_request_are_counted_together(client, ask):
    half = FITS[:5]

    assert ask(client, "small", half, images=2).status_code == 200
    response = ask(client, "small", half, images=3)

    assert response.status_code == 413
    assert "images of a request for model small must have at most 100 pixels" in response.text


# Nothing of its pixels is there: whoever decodes it calls it damaged.
CUT = encode_image(TOO_LARGE)[:40]
CUT_FILES = {
    "form": lambda model: (
        "/v1/segment",
        {"files": {"image": CUT}, "data": {"model": model}},
    ),
    "raw": lambda model: ("/v1/segment", {"params": {"model": model}, "content": CUT}),
    "JSON file": lambda model: (
        "/v1/segment",
        {"json": {"model": model, "image": {"b64": base64.b64encode(CUT).decode()}}},
    ),
    "predict file": lambda model: (
        f"/v1/models/{model}:predict",
        {"json": {"instances": [{"b64": base64.b64encode(CUT).decode()}]}},
    ),
}


@pytest.mark.parametrize("form", CUT_FILES)
def test_it_is_the_header_that_decides_before_anything_is_decoded(client, form):
    path, body = CUT_FILES[form]("small")
    refused = client.post(path, **body)
    path, body = CUT_FILES[form]("large")
    damaged = client.post(path, **body)

    assert refused.status_code == 413
    assert "image for model small must have at most 100 pixels" in refused.text
    assert damaged.status_code in (400, 422)


def test_clients_may_read_the_limit(client):
    described = client.get("/v2/models/small").json()
    config = client.get("/v2/models/small/config").json()
    others = client.get("/v2/models/large").json()

    assert described["properties"] == {"image_pixels": "100"}
    assert config["parameters"] == {"image_pixels": {"string_value": "100"}}
    assert others["properties"] == {"image_pixels": "1000"}
