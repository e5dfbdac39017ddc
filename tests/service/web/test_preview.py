import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from lacuna.raster.limits import ImageLimits
from service.core.admission import AdmissionPolicy
from service.listening.body_limits import BodyLimits
from service.runtime.fake import FakeRuntime
from service.web.app import make_app
from tests.service.web.test_segment import check_problem
from tests.support.apps import (
    encode_image,
    load_repository,
    make_repository_folder,
    make_services,
    serve,
)
from tests.support.images import noise, npy_file, picture_file, tiff_file
from tests.support.trained import describe_trained

SCENE = noise(37, 53, 3)
HOLE = noise(37, 53, seed=9) < 180
FLOATS = np.where(HOLE, np.linspace(0, 1, 37 * 53, dtype=np.float32).reshape(37, 53), np.nan)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve(load_repository(root), BodyLimits(200_000), ImageLimits(100_000)) as client:
        yield client


def read(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.content)))


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd"])
@pytest.mark.parametrize("byteorder", "<>")
def test_a_tiff_of_bytes_comes_back_as_a_png_of_the_same_bytes(
    client, photometric, compression, byteorder
):
    options = {"compression": compression, "byteorder": byteorder, "bigtiff": byteorder == ">"}
    response = client.post(
        "/v1/preview",
        content=tiff_file(SCENE, photometric=photometric, planarconfig="contig", **options),
    )

    np.testing.assert_array_equal(read(response), SCENE)
    assert response.headers["lacuna-preview"] == "exact"


def test_missing_pixels_of_a_floating_point_tiff_are_transparent(client):
    response = client.post("/v1/preview", files={"image": tiff_file(FLOATS)})

    np.testing.assert_array_equal(read(response)[:, :, 1] > 0, HOLE)
    assert response.headers["lacuna-preview"] == "approximate"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Models that know what they were trained on, and one of numbers that does not."""
    manifests = {
        "bytes": describe_trained(),
        "deep": describe_trained(dtype="uint16", scale=40),
        "colours": describe_trained(channels=3, dtype="float32", scale=1 / 255),
        "untold": describe_trained(dtype="float32", image={"channels": 1, "dtype": "float32"}),
    }
    root = make_repository_folder(tmp_path_factory.mktemp("models"), *[f"{m}/1" for m in manifests])
    load = lambda folder: FakeRuntime(manifests[folder.parent.name])  # noqa: E731
    with serve(load_repository(root, load)) as client:
        yield client


def look(client, content, **fields):
    response = client.post("/v1/preview", files={"image": content}, data=fields)
    return read(response).astype(int), response.headers["lacuna-preview-range"]


def test_numbers_are_drawn_as_the_model_is_given_them(trained):
    numbers = np.linspace(-50, 300, 2000).astype(np.float32).reshape(40, 50)

    shown, scale = look(trained, npy_file(numbers), model="bytes")
    assert scale == "model"
    np.testing.assert_allclose(shown, np.clip(numbers, 0, 255), atol=0.5)
    dark, _ = look(trained, npy_file(numbers / 255), model="bytes")
    assert dark.max() <= 2


def test_16_bits_are_drawn_as_the_8_that_the_model_is_given(trained):
    deep = np.linspace(0, 65535, 2000).astype(np.uint16).reshape(40, 50)

    shown, scale = look(trained, tiff_file(deep), model="bytes")
    assert scale == "model"
    np.testing.assert_allclose(shown, deep / 257, atol=0.51)
    dark, _ = look(trained, tiff_file(deep // 40), model="bytes")
    np.testing.assert_allclose(dark, deep // 40 / 257, atol=0.51)


def test_black_and_white_are_the_low_and_high_values_of_other_models(trained):
    # 2 % of the training data are below 5 × 40, 2 % above 250 × 40.
    numbers = np.linspace(0, 12_000, 2000).astype(np.uint16).reshape(40, 50)

    shown, scale = look(trained, npy_file(numbers), model="deep")
    assert scale == "model"
    expected = np.clip((numbers - 200.0) / 9800, 0, 1) * 255
    np.testing.assert_allclose(shown, expected, atol=0.51)


def test_a_grey_image_is_drawn_in_the_range_of_all_channels(trained):
    numbers = np.linspace(0, 1, 2000).astype(np.float32).reshape(40, 50)

    shown, _ = look(trained, npy_file(numbers), model="colours")
    expected = np.clip((numbers * 255 - 5) / 245, 0, 1) * 255
    np.testing.assert_allclose(shown, expected, atol=0.51)


def test_a_stretched_picture_is_the_stretched_input_of_the_model(trained):
    deep = np.linspace(300, 900, 2000).astype(np.uint16).reshape(40, 50)

    shown, scale = look(trained, tiff_file(deep), model="bytes", stretch="percentile")
    assert scale == "model"
    low, high = np.percentile(deep, (2, 98))
    expected = np.clip((deep - low) / (high - low) * 245 + 5, 0, 255)
    np.testing.assert_allclose(shown, expected, atol=0.51)


def test_where_the_range_is_not_known_the_image_decides_and_the_answer_says_so(trained):
    numbers = np.linspace(0.3, 0.9, 2000).astype(np.float32).reshape(40, 50)
    for fields in ({"model": "untold"}, {}):  # none is named, and there are several
        shown, scale = look(trained, npy_file(numbers), **fields)
        assert (scale, shown.min(), shown.max()) == ("image", 0, 255)


def test_bytes_are_exact_whatever_the_model(trained):
    for model, scale in (("bytes", "model"), ("deep", "image")):
        shown, told = look(trained, tiff_file(SCENE, photometric="rgb"), model=model)
        np.testing.assert_array_equal(shown, SCENE)
        assert told == scale


def test_an_unknown_model_is_refused(trained):
    response = trained.post("/v1/preview?model=nobody", content=npy_file(FLOATS))

    check_problem(response, 404, "unknown_model", "nobody")


@pytest.mark.parametrize("stretch", ["none", "percentile"])
def test_a_nodata_value_is_transparent_and_left_out_of_the_stretch(trained, stretch):
    values = np.where(HOLE, FLOATS, np.float32(-9999))
    fields = {"model": "bytes", "stretch": stretch}

    with_nodata, _ = look(trained, npy_file(values), nodata="-9999", **fields)
    without, _ = look(trained, npy_file(FLOATS), **fields)
    np.testing.assert_array_equal(with_nodata, without)
    contrast = np.ptp(without[:, :, 0][HOLE])
    assert contrast == 1 if stretch == "none" else contrast > 240


@pytest.mark.parametrize(("nodata", "missing"), [("", 0), ("255", 255), ("none", None)])
def test_a_nodata_value_stands_in_place_of_the_files_tag(client, nodata, missing):
    values = np.where(HOLE, 0, 255).astype(np.uint8)
    data = tiff_file(values, extratags=[(42113, "s", 0, "0", True)])

    response = client.post("/v1/preview", files={"image": data}, data={"nodata": nodata})

    expected = values if missing is None else np.where(values == missing, 0, 255)
    shown = read(response)
    np.testing.assert_array_equal(shown if missing is None else shown[:, :, 1], expected)


def test_a_mask_is_intersected(client):
    files = {"image": tiff_file(SCENE, photometric="rgb"), "mask": tiff_file(HOLE)}

    np.testing.assert_array_equal(read(client.post("/v1/preview", files=files))[:, :, 3] > 0, HOLE)


def test_an_image_lies_as_it_is_segmented(client):
    upright = np.moveaxis(SCENE, 0, 1)
    stored = tiff_file(upright[::-1], photometric="rgb", extratags=[(274, 3, 1, 4, True)])

    np.testing.assert_array_equal(read(client.post("/v1/preview", content=stored)), upright)


@pytest.mark.parametrize(
    ("content", "status", "code", "word"),
    [
        (b"", 400, "empty_body", "0 bytes"),
        (b"no image", 422, "invalid_image", "not an image"),
        (tiff_file(SCENE)[:-3000], 422, "invalid_image", "TIFF"),
        (tiff_file(np.zeros((2, 9, 9), np.uint8), photometric="minisblack"), 422, "invalid_image",
         "holds 2"),
        (picture_file(SCENE, "GIF"), 415, "unsupported_media_type", "it is GIF"),
        (tiff_file(np.zeros((400, 400), np.uint8), compression="deflate"), 413, "image_too_large",
         "100000 pixels"),
        (bytes(200_001), 413, "body_too_large", "200000 bytes"),
    ],
    ids=["empty", "text", "cut short", "two pages", "GIF", "too many pixels", "too many bytes"],
)  # fmt: skip
def test_what_would_not_be_segmented_is_not_shown_and_in_the_same_words(
    client, content, status, code, word
):
    shown = client.post("/v1/preview", content=content)

    check_problem(shown, status, code, word)
    asked = client.post("/v1/segment", content=content).json()
    assert shown.json() == asked


def test_a_mask_of_another_size_is_refused(client):
    files = {"image": encode_image(SCENE), "mask": encode_image(np.ones((5, 7), np.uint8))}

    check_problem(client.post("/v1/preview", files=files), 422, "invalid_mask", "5×7")


def test_who_comes_when_there_is_too_much_to_do_is_told_when_to_come_again(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path))
    services = make_services(repository, admission=AdmissionPolicy(max_pending=1))
    with TestClient(make_app(services)) as client:
        with services.gate.reserve(0):
            response = client.post("/v1/preview", content=encode_image(SCENE))
            check_problem(response, 429, "overloaded", "at most 1")
            assert int(response.headers["retry-after"]) >= 1

        assert client.post("/v1/preview", content=encode_image(SCENE)).status_code == 200
        counted = client.get("/metrics").text
    for outcome in ("ok", "refused"):
        labels = f'model="",outcome="{outcome}",protocol="preview"'
        assert f"lacuna_requests_total{{{labels}}} 1.0" in counted


def test_a_model_that_is_not_ready_keeps_no_picture_from_being_shown(tmp_path):
    with serve(load_repository(tmp_path)) as client:
        np.testing.assert_array_equal(
            read(client.post("/v1/preview", content=encode_image(SCENE))), SCENE
        )
