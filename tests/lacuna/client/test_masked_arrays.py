"""Masked arrays, as NumPy, rasterio and astropy give them: by every protocol, in every place."""

import asyncio

import httpx2
import numpy as np
import PIL.Image
import pytest
from astropy.utils.masked import Masked

from lacuna.client import AsyncClient, Client
from lacuna.errors import InvalidImageError, InvalidMaskError
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from tests.lacuna.client.scripts import FINE, Script
from tests.support.apps import encode_image, load_repository, make_repository_folder
from tests.support.images import npy_file
from tests.support.live import serve_live

PROTOCOLS = ("native", "oip", "tfserving")
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 30, 3), np.uint16)
MISSING = RNG.random((20, 30, 3)) < 0.1
GIVEN = RNG.random((20, 30)) < 0.7
SECRET, FILL = 0xBEEF, 0xFACE
IMAGE = np.ma.masked_array(np.where(MISSING, SECRET, PIXELS).astype(np.uint16), MISSING)
IMAGE.fill_value = FILL
VALID = ~(MISSING[:, :, 0] | MISSING[:, :, 1] | MISSING[:, :, 2])


class Recorder(httpx2.HTTPTransport):
    """The network, with all that was sent but for the boundaries of bodies, which are random."""

    def __init__(self):
        super().__init__()
        self.sent = b""

    def handle_request(self, request):
        content_type = request.headers.get("content-type", "")
        boundary = content_type.partition("boundary=")[2] or "no boundary"
        self.sent += request.read().replace(boundary.encode(), b"")
        return super().handle_request(request)


@pytest.fixture(scope="module")
def runtime():
    manifest = FAKE_MANIFEST.model_dump(by_alias=True)
    manifest["image"] = {"channels": 3, "dtype": "uint16"}
    return FakeRuntime(type(FAKE_MANIFEST).model_validate(manifest))


@pytest.fixture(scope="module")
def url(tmp_path_factory, runtime):
    root = make_repository_folder(tmp_path_factory.mktemp("colours"))
    with serve_live(load_repository(root, lambda _: runtime)) as address:
        yield f"http://{address}"


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture(params=PROTOCOLS)
def client(request, url, recorder):
    with Client(url, protocol=request.param, transport=recorder) as client:
        yield client


@pytest.fixture
def answer(runtime):
    """Return the model's labels of pixels and their mask, asked without a client."""

    def run(valid, pixels=PIXELS):
        return runtime.run(pixels[None].astype(np.float32), valid[None], probabilities=False)

    return lambda valid: run(valid).labels[0]


def test_a_pixel_is_valid_if_no_channel_is_masked(client, answer, recorder):
    result = client.segment(IMAGE)

    assert np.array_equal(result.labels, answer(VALID))
    for value in (SECRET, FILL):
        assert value.to_bytes(2, "little") not in recorder.sent
        assert str(value).encode() not in recorder.sent


@pytest.mark.parametrize(
    "mask",
    [
        GIVEN,
        GIVEN.astype(np.float64) * 7,
        GIVEN[:, :, None],
        GIVEN[None],
        np.ma.masked_array(np.ones((1, 20, 30)), ~GIVEN[None], fill_value=FILL),
        GIVEN[None, :, :, None],
        np.repeat(GIVEN[:, :, None], 3, axis=2),
        PIL.Image.fromarray(GIVEN),
        encode_image(GIVEN),
        np.ma.masked_array(np.ones((20, 30)), ~GIVEN, fill_value=FILL),
    ],
    ids=lambda mask: type(mask).__name__,
)
def test_a_mask_that_is_given_counts_besides(client, answer, recorder, mask):
    result = client.segment(IMAGE, mask)

    assert np.array_equal(result.labels, answer(VALID & GIVEN))
    assert SECRET.to_bytes(2, "little") not in recorder.sent
    assert np.float32(SECRET).tobytes() not in recorder.sent
    assert str(SECRET).encode() not in recorder.sent


def test_files_of_masks_count_besides(client, answer, tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(encode_image(GIVEN))

    assert np.array_equal(client.segment(IMAGE, path).labels, answer(VALID & GIVEN))
    with path.open("rb") as file:
        assert np.array_equal(client.segment(IMAGE, file).labels, answer(VALID & GIVEN))


def test_a_masked_mask_is_valid_where_it_is_neither_zero_nor_masked(client, answer):
    hidden = RNG.random((20, 30)) < 0.2
    values = np.where(hidden, np.nan, GIVEN)

    labels = client.segment(PIXELS, np.ma.masked_array(values, hidden)).labels

    assert np.array_equal(labels, answer(GIVEN & ~hidden))


def test_a_masked_mask_counts_for_files_too(client, answer):
    values = np.ma.masked_array(np.ones((20, 30)), ~GIVEN)

    labels = client.segment(npy_file(PIXELS), values).labels

    assert np.array_equal(labels, answer(GIVEN))


@pytest.mark.parametrize("mask", [np.ma.nomask, False, np.zeros(PIXELS.shape, bool)])
def test_an_array_that_masks_nothing_is_a_plain_one(client, answer, mask):
    labels = client.segment(np.ma.masked_array(PIXELS, mask)).labels

    assert np.array_equal(labels, answer(np.ones((20, 30), np.bool_)))


def test_an_array_that_masks_all_has_no_valid_pixel(client):
    assert client.segment(np.ma.masked_array(PIXELS, True)).valid_pixels == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float16, np.float64, ">f4"])
@pytest.mark.parametrize("mask", [None, PIL.Image.fromarray(GIVEN)], ids=["alone", "with a mask"])
def test_numbers_of_every_type_are_masked(client, answer, dtype, mask):
    image = np.ma.masked_array(np.where(MISSING, 99, PIXELS).astype(dtype), MISSING)

    labels = client.segment(image, mask).labels

    assert np.array_equal(labels, answer(VALID if mask is None else VALID & GIVEN))


def test_a_no_data_value_counts_besides(client, answer):
    pixels = IMAGE.copy()
    pixels[3, 4:9] = 77

    labels = client.segment(pixels, nodata=77).labels

    valid = VALID.copy()
    valid[3, 4:9] = False
    assert np.array_equal(labels == 255, ~valid)


def test_masked_infinity_and_nan_are_not_sent(client, answer, recorder):
    image = np.ma.masked_invalid(np.where(MISSING, np.nan, PIXELS).astype(np.float32))

    assert np.array_equal(client.segment(image).labels, answer(VALID))
    assert b"NaN" not in recorder.sent


def test_the_masked_arrays_of_astropy_are_masked_arrays(client, answer, recorder):
    image = Masked(np.asarray(IMAGE), mask=MISSING)

    assert np.array_equal(client.segment(image).labels, answer(VALID))
    assert SECRET.to_bytes(2, "little") not in recorder.sent


def test_one_channel_may_be_masked_as_height_and_width(address):
    image = np.ma.masked_array(PIXELS[:, :, 0].astype(np.uint8), ~GIVEN)

    for protocol in PROTOCOLS:
        with Client(f"http://{address}", protocol=protocol) as client:
            assert np.array_equal(client.segment(image).valid, GIVEN)


def test_maps_keep_the_mask_of_each_image(client, answer):
    images = [IMAGE, PIXELS, IMAGE]
    masks = [None, np.ma.masked_array(GIVEN, False), GIVEN]

    first, second, third = client.map(images, masks)

    assert np.array_equal(first.labels, answer(VALID))
    assert np.array_equal(second.labels, answer(GIVEN))
    assert np.array_equal(third.labels, answer(VALID & GIVEN))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_async_client_keeps_masks(url, answer, protocol):
    async def run():
        async with AsyncClient(url, protocol=protocol) as client:
            mapped = [result async for result in client.map([IMAGE], [GIVEN])]
            return [await client.segment(IMAGE), *mapped]

    alone, given = asyncio.run(run())

    assert np.array_equal(alone.labels, answer(VALID))
    assert np.array_equal(given.labels, answer(VALID & GIVEN))


def test_an_answer_as_the_server_writes_it_keeps_masks(url, answer):
    with Client(url) as client:
        content = client.segment_as("application/x-npy", IMAGE)

    assert content.endswith(answer(VALID).tobytes())


def test_an_overlay_does_not_show_what_was_masked(url):
    with Client(url) as client:
        result = client.segment(IMAGE)

    changed = np.ma.masked_array(np.where(MISSING, 7, IMAGE.data).astype(np.uint16), MISSING)
    assert result.image.max() < SECRET
    assert result.overlay().tobytes() == result.overlay(changed).tobytes()


BANDS = np.ma.masked_array(np.zeros((3, 70, 600), np.uint8), False)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("image", "mask"),
    [
        (BANDS, None),
        (np.asarray(BANDS), None),
        (BANDS[:, :, :5], np.ones((70, 5), np.bool_)),
        (BANDS[:, :, :5], PIL.Image.new("1", (5, 70))),
    ],
    ids=["masked", "plain", "mask", "picture"],
)
def test_channels_that_come_first_are_refused_with_a_hint(protocol, image, mask):
    script = Script(FINE)

    with (
        Client("http://server", protocol=protocol, transport=script) as client,
        pytest.raises(InvalidImageError, match=r"did you mean numpy.moveaxis\(image, 0, -1\)"),
    ):
        client.segment(image, mask)
    assert script.requests == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_few_columns_may_be_channels_until_the_model_is_known(url, protocol):
    image = np.zeros((3, 20, 30), np.uint8)

    with (
        Client(url, protocol=protocol) as client,
        pytest.raises(Exception, match="channels") as caught,
    ):
        client.segment(image)
    said = [str(caught.value), *getattr(caught.value, "__notes__", ())]
    assert any("numpy.moveaxis(image, 0, -1)" in text for text in said)


def test_a_wide_image_of_many_channels_can_be_sent(recorder):
    """A leading axis of one says that the last axis is the channels."""
    script = Script(FINE)

    with Client("http://server", transport=script) as client:
        client.segment(np.zeros((1, 3, 5, 100), np.uint8))

    assert b"(3, 5, 100)" in script.requests[0].read()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((19, 30)), "image is 20×30, mask is 19×30$"),
        (np.ones((30, 20)), r"mask is 30×20; did you mean mask\.T"),
        (np.ones((3, 20, 30)), r"mask is an array \(3, 20, 30\); did you mean mask\.all\(axis=0\)"),
        (np.ones((1, 30, 20)), r"mask is an array \(1, 30, 20\)"),
        (~MISSING, r"it has 3 that differ: did you mean mask\.all\(axis=-1\)"),
        (PIL.Image.new("1", (29, 20)), "image is 20×30, mask is 20×29"),
        (np.full((20, 30), np.nan), "mask must hold numbers; it holds NaN"),
        (np.full((20, 30), "yes"), "mask must hold real numbers; it holds <U3"),
        (np.ones(30), r"mask must be \(H, W\).*it is \(30,\)"),
    ],
)
def test_a_wrong_mask_is_called_the_mask_before_anything_is_sent(protocol, mask, message):
    script = Script(FINE)

    with (
        Client("http://server", protocol=protocol, transport=script) as client,
        pytest.raises(InvalidMaskError, match=message),
    ):
        client.segment(PIXELS, mask)
    assert script.requests == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((2, 2), None), "must hold real numbers; it holds object"),
        (np.zeros((2, 2), np.complex64), "it holds complex64"),
        (np.ma.masked_array(np.zeros((2, 2), [("a", "u1"), ("b", "u1")])), "it holds"),
        (np.zeros(5), r"it is \(5,\)"),
        (np.zeros((2, 3, 4, 5)), r"it is \(2, 3, 4, 5\)"),
        (np.ma.masked, r"it is \(\)"),
    ],
)
def test_arrays_that_are_no_images_are_refused_before_anything_is_sent(protocol, image, message):
    script = Script(FINE)

    with (
        Client("http://server", protocol=protocol, transport=script) as client,
        pytest.raises(InvalidImageError, match=message),
    ):
        client.segment(image)
    assert script.requests == []


def test_extended_precision_is_sent_as_double(url, answer):
    for protocol in PROTOCOLS:
        with Client(url, protocol=protocol) as client:
            result = client.segment(PIXELS.astype(np.longdouble))
        assert np.array_equal(result.labels, answer(np.ones((20, 30), np.bool_)))
