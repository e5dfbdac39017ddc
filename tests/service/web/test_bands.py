"""Bands and alpha in requests of each protocol."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from service.runtime.manifest import Manifest
from service.web.services import VertexRoutes
from tests.service.web.test_segment import check_problem
from tests.support.apps import load_repository, make_repository_folder, serve
from tests.support.images import noise, npy_file, picture_file
from tests.support.rasters import gdal_file

STACK = noise(37, 53, 4)
STACK[:, :, :3] //= np.array([1, 2, 4], np.uint8)
RGBN = ("red", "green", "blue", "nir")
TIFF = gdal_file(STACK, names=("b4", "b3", "b2", "b8"), colours=RGBN)
COLOURED = gdal_file(STACK, colours=RGBN)
TAGGED = gdal_file(STACK)
NPY = npy_file(STACK)
NAMED = Manifest.model_validate(
    FAKE_MANIFEST.model_dump(by_alias=True)
    | {
        "name": "named",
        "image": {"channels": 3, "dtype": "uint8", "bands": ["nir", "Red", "green"]},
    }
)


def label(values, valid=None):
    valid = np.ones(values.shape[:2], bool) if valid is None else valid
    image = np.where(valid[..., None], values, 0).astype(np.float32)
    return FakeRuntime().run(image[None], valid[None], probabilities=False).labels[0]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "fake/1", "named/1", "four/1")
    four = {"image": {"channels": 4, "dtype": "uint8"}}
    manifests = {
        "fake": FAKE_MANIFEST,
        "named": NAMED,
        "four": Manifest.model_validate(FAKE_MANIFEST.model_dump(by_alias=True) | four),
    }
    repository = load_repository(root, lambda folder: FakeRuntime(manifests[folder.parent.name]))
    with serve(repository, vertex_routes=VertexRoutes(predict="/predict")) as client:
        yield client


def post(client, image=TIFF, model="fake", *, form=None, query=None):
    return client.post(
        "/v1/segment",
        files={"image": image},
        data={"model": model} | (form or {}),
        params=query,
        headers={"Accept": "application/x-npy"},
    )


def read(response):
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content))


@pytest.mark.parametrize(("band", "index"), [("4", 3), ("nir", 3), ("B3", 1), ('"b2"', 2)])
@pytest.mark.parametrize("place", ["form", "query"])
def test_a_form_or_a_query_chooses_bands(client, band, index, place):
    found = read(post(client, **{place: {"bands": band}}))

    np.testing.assert_array_equal(found, label(STACK[:, :, [index]]))


@pytest.mark.parametrize("bands", [2, [2], ["2"], "2"])
@pytest.mark.parametrize("form", ["lists", "file"])
def test_json_chooses_bands(client, bands, form):
    image = STACK.tolist() if form == "lists" else {"b64": base64.b64encode(NPY).decode()}
    response = client.post(
        "/v1/segment",
        json={"model": "fake", "image": image, "bands": bands},
        headers={"Accept": "application/x-npy"},
    )

    np.testing.assert_array_equal(read(response), label(STACK[:, :, [1]]))


def test_alpha_is_left_out_or_taken_in(client):
    found = read(post(client, picture_file(STACK, "PNG"), form={"bands": "2"}))
    np.testing.assert_array_equal(found, label(STACK[:, :, [1]], STACK[:, :, 3] > 0))

    found = read(post(client, NPY, form={"bands": "1", "alpha": "yes"}))
    np.testing.assert_array_equal(found, label(STACK[:, :, [0]], STACK[:, :, 3] > 0))

    found = read(post(client, TAGGED, "four", form={"alpha": "no"}))
    np.testing.assert_array_equal(found, label(STACK))


def test_bands_that_the_model_names_are_found_by_name(client):
    found = read(post(client, COLOURED, "named"))

    np.testing.assert_array_equal(found, label(STACK[:, :, [3, 0, 1]]))
    # What is given counts before that.
    found = read(post(client, COLOURED, "named", form={"bands": "1,2,3"}))
    np.testing.assert_array_equal(found, label(STACK[:, :, :3]))


def test_a_wrong_number_of_channels_is_told_with_both_lists(client):
    check_problem(
        post(client, npy_file(noise(9, 9, 5)), "named"),
        422,
        "channel_mismatch",
        "model named takes 3 channels (nir, Red, green); the image has 5: choose 3 of them",
        "bands=1,2,3",
    )
    check_problem(
        post(client, model="named", form={"bands": "nir,b4"}),
        422,
        "channel_mismatch",
        "takes 3 channels (nir, Red, green); the image has 2 (b8, b4)",
    )


def test_alpha_that_would_be_the_missing_channel_is_pointed_out(client):
    check_problem(
        post(client, TAGGED, "four"),
        422,
        "channel_mismatch",
        "takes 4 channels; the image has 3 (red, green, blue), and band 4 counts as validity",
        "alpha=no",
    )


def test_a_band_that_the_image_lacks_is_refused_with_those_that_it_has(client):
    check_problem(
        post(client, form={"bands": "swir"}),
        422,
        "channel_mismatch",
        "1 (b4), 2 (b3), 3 (b2), 4 (b8); 'swir' is not",
    )


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"bands": "1,,2"}, "bands must be numbers or names; one is empty"),
        ({"bands": "0"}, "bands are counted from 1"),
        ({"bands": '"red'}, "bands must be numbers or names, with commas between them"),
        ({"alpha": "maybe"}, "alpha must be one of auto, yes, no; it is 'maybe'"),
        ({"bands": "1," * 2500 + "1"}, "bands must have at most 4000 bytes"),
    ],
)
def test_a_malformed_choice_is_refused(client, form, words):
    check_problem(post(client, form=form), 400, "malformed_request", words)


def test_512_bands_are_named_within_the_limits_of_a_parameter(client):
    bands = ",".join(str(number) for number in range(1, 513))

    check_problem(
        post(client, npy_file(noise(3, 4, 512)), form={"bands": bands}),
        422,
        "channel_mismatch",
        "the image has 512",
    )


def test_a_band_that_is_named_too_often_is_held_to_the_limits(client):
    bands = ",".join(["1"] * 513)

    check_problem(post(client, form={"bands": bands}), 413, "image_too_large", "it has 513")


def test_alpha_that_varies_like_an_image_is_warned_of(client):
    warned = post(client, TAGGED, form={"bands": "1"})
    (warning,) = json.loads(warned.headers["X-Lacuna-Warnings"])
    assert warning["code"] == "doubtful_image"
    assert "band 4 is tagged as alpha" in warning["message"]
    assert "alpha=no" in warning["message"]

    assert (
        "X-Lacuna-Warnings" not in post(client, TAGGED, form={"bands": "1", "alpha": "no"}).headers
    )
    assert "X-Lacuna-Warnings" not in post(client, form={"bands": "1"}).headers


def infer(client, parameters):
    content = {
        "parameters": parameters,
        "inputs": [
            {
                "name": "image",
                "shape": [1, *STACK.shape],
                "datatype": "UINT8",
                "data": STACK.ravel().tolist(),
            }
        ],
        "outputs": [{"name": "labels"}],
    }
    return client.post("/v2/models/fake/infer", json=content)


def test_parameters_of_the_open_inference_protocol_choose_channels(client):
    response = infer(client, {"bands": "3", "alpha": "yes"})

    found = np.reshape(response.json()["outputs"][0]["data"], STACK.shape[:2])
    np.testing.assert_array_equal(found, label(STACK[:, :, [2]], STACK[:, :, 3] > 0))


@pytest.mark.parametrize(
    ("parameters", "status", "words"),
    [
        ({"bands": "7"}, 400, "the image has: 1 to 4"),
        ({"bands": 1.5}, 400, "bands must be numbers or names"),
        ({"alpha": True}, 400, "alpha must be one of auto, yes, no"),
        ({"bands": ",".join(["1"] * 513)}, 413, "at most 512 channels; it has 513"),
    ],
)
def test_and_wrong_ones_are_refused(client, parameters, status, words):
    response = infer(client, parameters)

    assert response.status_code == status
    assert words in response.json()["error"]


def test_the_names_of_a_models_channels_are_published(client):
    described = client.get("/v2/models/named").json()
    assert described["properties"]["bands"] == "nir,Red,green"
    assert "bands" not in client.get("/v2/models/fake").json()["properties"]

    config = client.get("/v2/models/named/config").json()
    assert config["parameters"]["bands"] == {"string_value": "nir,Red,green"}

    models = {model["name"]: model["image"] for model in client.get("/v1/models").json()["models"]}
    assert models["named"]["bands"] == ["nir", "Red", "green"]
    assert "bands" not in models["fake"]


def test_parameters_of_a_platform_choose_bands_of_all_instances(client):
    encoded = {"b64": base64.b64encode(TIFF).decode()}
    response = client.post(
        "/predict",
        json={
            "instances": [{"image": encoded}, {"image": STACK.tolist()}],
            "parameters": {
                "bands": [4],
                "alpha": "no",
                "signature_name": "labels",
                "model": "fake",
            },
        },
    )

    for found in response.json()["predictions"]:
        np.testing.assert_array_equal(found, label(STACK[:, :, [3]]))


def test_a_header_of_a_platform_quotes_bands(tmp_path):
    root = make_repository_folder(tmp_path, "named/1")
    with serve(load_repository(root, lambda _: FakeRuntime(NAMED))) as client:
        response = client.post(
            "/invocations",
            content=TIFF,
            headers={
                "Content-Type": "image/tiff",
                "Accept": "application/x-npy",
                "X-Amzn-SageMaker-Custom-Attributes": 'trace, bands="4,b3, 1" ,alpha=no',
            },
        )

    np.testing.assert_array_equal(read(response), label(STACK[:, :, [3, 1, 0]]))


def preview(client, image, **form):
    response = client.post("/v1/preview", files={"image": image}, data=form)
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_a_preview_shows_the_bands_that_are_chosen(client):
    found = preview(client, TIFF, bands="nir,b2,b3", model="named")

    np.testing.assert_array_equal(found, STACK[:, :, [3, 2, 1]])


def test_a_preview_shows_the_bands_that_the_model_is_given(client):
    np.testing.assert_array_equal(preview(client, COLOURED, model="named"), STACK[:, :, [3, 0, 1]])
