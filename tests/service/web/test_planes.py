import io

import httpx2
import numpy as np
import pytest
import tifffile
import tritonclient.http
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from lacuna.client import Client
from lacuna.errors import MalformedRequestError
from lacuna.sample import Sample
from lacuna.windows.support import compute_support
from service.core.cost import BatchCost
from service.engine.segmenter import EnginePolicy
from service.engine.served import ServedModel
from service.runtime.fake import FAKE_MANIFEST
from service.wire.outputs import complete
from tests.service.engine.test_segmenter import HOLDS, segment
from tests.service.web.test_segment import check_problem
from tests.support.apps import encode_image, load_repository, make_repository_folder
from tests.support.images import noise
from tests.support.live import serve_live
from tests.support.runtimes import Unsure
from tests.support.strategies import seeds, valid_fractions

IMAGE, MASK = noise(37, 53), noise(37, 53, seed=1) < 180
RADIUS = FAKE_MANIFEST.receptive_radius
PLANES = ("probabilities", "confidence", "support")


def compute_all(image=IMAGE, mask=MASK):
    """Return the planes of an image, alone and unpadded; the support by brute force."""
    given = image[None, :, :, None].astype(np.float32)
    (probabilities,) = Unsure().run(given, mask[None], probabilities=True).probabilities
    side = 2 * RADIUS + 1
    windows = sliding_window_view(np.pad(mask, RADIUS), (side, side))
    support = np.where(mask, windows.mean(axis=(2, 3)), 0).astype(np.float32)
    return {
        "probabilities": probabilities,
        "confidence": probabilities.max(axis=2),
        "support": support,
    }


@pytest.fixture(scope="module")
def runtime():
    return Unsure()


@pytest.fixture(scope="module")
def address(tmp_path_factory, runtime):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve_live(load_repository(root, lambda _: runtime)) as address:
        yield address


def post(address, accept="application/zip", *, also=None, image=IMAGE, **options):
    files = {"image": encode_image(image), "mask": encode_image(MASK)}
    data = {} if also is None else {"also": also}
    url = f"http://{address}/v1/segment"
    return httpx2.post(url, headers={"Accept": accept}, files=files, data=data, **options)


def read_npz(response):
    assert response.status_code == 200, response.text
    with np.load(io.BytesIO(response.content)) as arrays:
        return dict(arrays)


def check_planes(found, *names):
    expected = compute_all()
    assert set(found) == {"labels", *names}
    for name in names:
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
        assert not found[name][~MASK].any()


def test_an_npz_without_a_wish_holds_probabilities_alone(address):
    check_planes(read_npz(post(address)), "probabilities")


@pytest.mark.parametrize(
    "names", [PLANES, ("confidence",), ("support",), ("probabilities", "support")]
)
def test_an_npz_holds_the_planes_that_are_named_and_no_others(address, names):
    check_planes(read_npz(post(address, also=",".join(names))), *names)


def test_planes_may_be_named_in_the_query_and_in_json(address):
    wish = {"also": "support, confidence"}
    body = {"image": IMAGE.tolist(), "mask": MASK.tolist()}
    url, headers = f"http://{address}/v1/segment", {"Accept": "application/zip"}

    in_json = httpx2.post(url, headers=headers, json=body | wish)
    check_planes(read_npz(in_json), "confidence", "support")
    in_query = httpx2.post(url, headers=headers, json=body, params=wish)
    assert in_query.content == in_json.content


def test_the_model_computes_probabilities_only_where_they_are_needed(address, runtime):
    for also, needed in (("support", False), ("confidence", True)):
        runtime.asked.clear()
        read_npz(post(address, also=also))
        assert runtime.asked == [needed]


def test_a_tiff_holds_each_plane_as_a_page_behind_the_labels(address):
    response = post(address, "image/tiff", also="confidence,support")

    expected = compute_all()
    with tifffile.TiffFile(io.BytesIO(response.content)) as file:
        labels, *planes = [page.asarray() for page in file.pages]
        nodata = [page.tags.valueof(42113) for page in file.pages]
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels == 255, ~MASK)
    assert nodata == ["255", "nan", "nan"]
    for plane, name in zip(planes, ("confidence", "support"), strict=True):
        shown = np.where(MASK, expected[name], np.nan)
        np.testing.assert_allclose(plane, shown, atol=1e-6)


@pytest.mark.parametrize(
    ("accept", "also", "able"),
    [
        ("application/json", "confidence", "application/zip or image/tiff or application/geo"),
        ("image/png", "support", "application/zip or image/tiff;"),
        ("application/x-npy", "confidence,support", "application/zip or image/tiff;"),
        ("image/tiff", "probabilities", "application/zip;"),
        ("application/geo+json", "support", "application/zip or image/tiff;"),
    ],
)
def test_an_answer_that_cannot_hold_a_plane_says_which_can(address, accept, also, able):
    response = post(address, accept, also=also)

    check_problem(response, 400, "malformed_request", f"also={also}", able, accept)


@pytest.mark.parametrize("also", ["sureness", "confidence,,sureness", "labels"])
def test_a_plane_that_does_not_exist_is_refused(address, also):
    check_problem(
        post(address, also=also), 400, "malformed_request", "probabilities, confidence, support"
    )


@pytest.mark.parametrize("also", [7, ["confidence"], True])
def test_planes_that_are_no_text_are_refused(address, also):
    body = {"image": IMAGE.tolist(), "also": also}
    response = httpx2.post(f"http://{address}/v1/segment", json=body)

    check_problem(response, 400, "malformed_request")


def test_rows_and_columns_take_no_planes(address):
    body = {"instances": [IMAGE.tolist()], "parameters": {"also": "support"}}
    response = httpx2.post(f"http://{address}/invocations", json=body)

    check_problem(response, 400, "malformed_request", "also must come with a body of /v1/segment")


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
def test_triton_clients_get_them_as_outputs_of_their_own(address, runtime, binary):
    images, masks = np.stack([IMAGE, IMAGE.T.reshape(37, 53)])[..., None], np.stack([MASK] * 2)
    inputs = [
        tritonclient.http.InferInput("image", images.shape, "UINT8").set_data_from_numpy(images),
        tritonclient.http.InferInput("mask", masks.shape, "BOOL").set_data_from_numpy(masks),
    ]
    outputs = [
        tritonclient.http.InferRequestedOutput(name, binary_data=binary)
        for name in ("support", "confidence")
    ]
    with tritonclient.http.InferenceServerClient(address) as client:
        result = client.infer("fake", inputs, outputs=outputs)
        described = client.get_model_metadata("fake")["outputs"]

    for index, image in enumerate(images[..., 0]):
        expected = compute_all(image)
        for name in ("confidence", "support"):
            found = result.as_numpy(name)[index]
            np.testing.assert_allclose(found, expected[name], atol=1e-6)
    assert result.as_numpy("labels") is None
    assert result.as_numpy("probabilities") is None
    assert {"name": "support", "datatype": "FP32", "shape": [-1, -1, -1]} in described


@pytest.mark.parametrize("protocol", ["native", "oip"])
def test_the_client_has_them_in_its_result(address, protocol):
    expected = compute_all()
    with Client(f"http://{address}", protocol=protocol) as client:
        result = client.segment(IMAGE, MASK, also=("confidence", "support"))
        (mapped,) = client.map([IMAGE], [MASK], also=["support"])
        both = client.segment(IMAGE, MASK, probabilities=True, also=["confidence"])

    np.testing.assert_allclose(result.confidence, expected["confidence"], atol=1e-6)
    np.testing.assert_allclose(result.support, expected["support"], atol=1e-6)
    assert result.probabilities is None
    assert (mapped.confidence, mapped.probabilities) == (None, None)
    np.testing.assert_array_equal(mapped.support, result.support)
    np.testing.assert_allclose(both.probabilities, expected["probabilities"], atol=1e-6)


def test_the_client_saves_them(address, tmp_path):
    with Client(f"http://{address}") as client:
        result = client.segment(IMAGE, MASK, also=["support"])
    with np.load(result.save(tmp_path / "labels.npz")) as saved:
        check_planes(dict(saved), "support")


@pytest.mark.parametrize(
    ("protocol", "also", "message"),
    [
        ("native", ["sureness"], "also must name planes of .*; it names sureness"),
        ("oip", ["sureness"], "also must name planes of .*; it names sureness"),
        ("tfserving", ["support"], "also=support needs another protocol"),
    ],
)
def test_the_client_refuses_planes_that_cannot_be_had(address, protocol, also, message):
    with (
        Client(f"http://{address}", protocol=protocol) as client,
        pytest.raises(MalformedRequestError, match=message),
    ):
        client.segment(IMAGE, MASK, also=also)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), valid_fractions, seeds, st.integers(64, 2000))
def test_windows_canvases_and_neighbours_change_no_plane(height, width, valid, seed, window_pixels):
    image, mask = (
        noise(height, width, 1, seed=seed),
        noise(height, width, seed=seed + 1) < valid * 256,
    )
    sample, other = Sample(image, mask), Sample(noise(50, 70, 1), noise(50, 70) < 99)
    cheap = BatchCost(call_s=0.0, pixel_s=1e-6)
    model = ServedModel("fake", "1", Unsure(), HOLDS, cheap)
    policy = EnginePolicy(window_pixels=window_pixels)

    result, _ = segment(model, sample, other, policy=policy, probabilities=True)

    found = complete(result.segmentation, sample, PLANES, RADIUS)
    for name, expected in compute_all(image[:, :, 0], mask).items():
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-6)
    padded = np.pad(mask, ((3, 40), (5, 30)))
    np.testing.assert_array_equal(
        compute_support(padded, RADIUS)[3 : 3 + height, 5 : 5 + width] * mask, found.support
    )
