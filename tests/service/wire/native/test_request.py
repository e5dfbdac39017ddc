import base64
import contextlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    InvalidImageError,
    InvalidMaskError,
    MalformedRequestError,
    RequestError,
    UnsupportedMediaTypeError,
)
from lacuna.raster import rle
from lacuna.raster.formats import ACCEPTED
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import write_npy
from service.runtime.fake import FAKE_MANIFEST
from service.wire.native.parameters import Parameters, read_parameters
from service.wire.native.request import parse_request
from tests.support.apps import encode_image
from tests.support.images import exif_orientation, noise, picture_file, tiff_file

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0]], bool)
LIMITS = ImageLimits()


def read(body, content_type="application/json", query=None):
    request = parse_request(content_type, query or {}, body, LIMITS)
    return request.read_samples(FAKE_MANIFEST, LIMITS)[0]


def make_json(**content):
    return json.dumps(content).encode()


def encode_base64(data):
    return base64.b64encode(data).decode()


FORM_TYPE = "multipart/form-data; boundary=cut"


def make_form(**fields):
    head = b'--cut\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    parts = [head % (name.encode(), content) for name, content in fields.items()]
    return b"".join(parts) + b"--cut--\r\n"


MASKS = {
    "nested booleans": MASK.tolist(),
    "nested numbers": MASK.astype(int).tolist(),
    "base64 PNG": {"b64": encode_base64(encode_image(MASK)), "format": "png"},
    "base64 NPY": {"b64": encode_base64(write_npy(MASK))},
    "COCO RLE string": rle.encode(MASK),
    "COCO RLE counts": {"size": [3, 4], "counts": [0, 1, 1, 4, 1, 4, 1]},
}
IMAGES = {
    "nested": IMAGE.tolist(),
    "nested with channels": IMAGE[:, :, None].tolist(),
    "base64 PNG": {"b64": encode_base64(encode_image(IMAGE)), "format": "png"},
    "base64 NPY": {"b64": encode_base64(write_npy(IMAGE)), "format": "npy"},
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_json_carries_images_and_masks_in_every_form(image, mask):
    sample = read(make_json(image=image, mask=mask))

    assert np.array_equal(sample.mask, MASK)
    assert np.array_equal(sample.image[:, :, 0], IMAGE)


def wrap(text, width, end):
    return end.join(text[start : start + width] for start in range(0, len(text), width))


# A noisy image, so that its file has every digit of base64, and a length that needs padding.
NOISY = np.random.default_rng(19).integers(0, 256, (40, 50), np.uint8)
PNG_BASE64 = next(
    text
    for side in range(40, 1, -1)
    if (text := encode_base64(encode_image(NOISY[:side, :side]))).endswith("==")
    and {"+", "/"} < set(text)
)
WRITINGS = {
    "data URL": f"data:image/png;base64,{PNG_BASE64}",
    "data URL with parameters": f"DATA:image/png;name=a.png;charset=x;Base64,{PNG_BASE64}",
    "data URL without a type": f"data:;base64,{PNG_BASE64}",
    "lines of MIME": wrap(PNG_BASE64, 76, "\r\n") + "\r\n",
    "lines of PEM": wrap(PNG_BASE64, 64, "\n"),
    "indented": wrap(PNG_BASE64, 60, "\n\t  "),
    "unpadded": PNG_BASE64.rstrip("="),
    "for URLs": base64.urlsafe_b64encode(base64.b64decode(PNG_BASE64)).decode(),
    "for URLs, unpadded": PNG_BASE64.translate(str.maketrans("+/", "-_", "=")),
    "all at once": "data:image/png;base64,"
    + wrap(PNG_BASE64.translate(str.maketrans("+/", "-_", "=")), 76, "\r\n"),
}


@pytest.mark.parametrize("encoded", WRITINGS.values(), ids=WRITINGS)
def test_base64_is_read_however_it_is_written(encoded):
    plain = read(make_json(image={"b64": PNG_BASE64}))
    sample = read(make_json(image={"b64": encoded}, mask={"b64": encoded}))

    assert np.array_equal(sample.image, plain.image)
    assert np.array_equal(sample.mask, plain.image[:, :, 0] != 0)


@pytest.mark.parametrize(
    "encoded",
    [
        PNG_BASE64[:-3],  # a digit alone
        PNG_BASE64[:100] + "=" + PNG_BASE64[100:],
        PNG_BASE64[:100] + "*" + PNG_BASE64[100:],
        PNG_BASE64[:100] + "é" + PNG_BASE64[100:],
        f"data:image/png,{PNG_BASE64}",
        f"data:image/png;base64;{PNG_BASE64}",
        f"base64,{PNG_BASE64}",
        "data:" + ";a" * 100_000,
    ],
)
def test_what_is_not_base64_is_refused(encoded):
    with pytest.raises(InvalidImageError, match=r"image\.b64 must be base64"):
        read(make_json(image={"b64": encoded}))
    with pytest.raises(InvalidMaskError, match=r"mask\.b64 must be base64"):
        read(make_json(image=IMAGE.tolist(), mask={"b64": encoded}))


def test_nothing_in_base64_is_an_empty_image():
    for encoded in ("", "\r\n", "data:image/png;base64,"):
        with pytest.raises(EmptyBodyError, match="it has 0 bytes"):
            read(make_json(image={"b64": encoded}))


def test_null_in_a_nested_image_is_a_missing_pixel():
    sample = read(b'{"image": [[1, null], [NaN, 4]]}')

    assert sample.mask.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("content_type", ["image/png", "image/*", None, "application/octet-stream"])
def test_a_raw_body_is_the_image(content_type):
    assert np.array_equal(read(encode_image(IMAGE), content_type).image[:, :, 0], IMAGE)


def test_a_raw_npy_body_is_the_image():
    assert np.array_equal(read(write_npy(IMAGE), "application/x-npy").image[:, :, 0], IMAGE)


def test_pixels_of_the_nodata_value_are_invalid():
    assert not read(make_json(image=IMAGE.tolist(), nodata=20)).mask[0, 1]


def test_a_parameter_may_stand_in_the_query():
    assert not read(write_npy(IMAGE), "application/x-npy", {"nodata": "20"}).mask[0, 1]


def test_a_parameter_in_both_query_and_body_is_refused():
    with pytest.raises(MalformedRequestError, match="nodata must be in the query or in the bo"):
        read(make_json(image=[[1]], nodata=1), query={"nodata": "1"})


# The tag says 0, which 64 of the pixels hold; 32 hold 255.
TAGGED = np.full((16, 16), 90, np.uint8)
TAGGED[:4] = 0
TAGGED[14:] = 255
TAGGED_FILE = tiff_file(TAGGED, extratags=[(42113, "s", 0, "0", True)])


@pytest.mark.parametrize(
    ("nodata", "missing"),
    [(None, TAGGED == 0), (255, TAGGED == 255), ("none", TAGGED < 0), (0, TAGGED == 0)],
)
def test_the_parameter_nodata_stands_in_place_of_the_files_tag(nodata, missing):
    given = {} if nodata is None else {"nodata": nodata}
    text = {name: str(value) for name, value in given.items()}
    fields = {name: value.encode() for name, value in text.items()}
    bodies = [
        (TAGGED_FILE, "image/tiff", text),
        (make_json(image={"b64": encode_base64(TAGGED_FILE)}, **given), "application/json", None),
        (make_form(image=TAGGED_FILE, **fields), FORM_TYPE, None),
    ]
    for body in bodies:
        np.testing.assert_array_equal(read(*body).mask, ~missing)


def test_a_mask_of_another_size_than_an_image_that_exif_turned_is_told_so():
    image = picture_file(noise(10, 16), "PNG", exif=exif_orientation(6))
    body = make_form(image=image, mask=write_npy(np.ones((10, 16), bool)))

    with pytest.raises(InvalidMaskError) as caught:
        read(body, FORM_TYPE)
    assert caught.value.message == (
        "mask must have the image's height and width; image is 16×10 "
        "(stored as 10×16 and turned as its EXIF orientation says), mask is 10×16"
    )


@pytest.mark.parametrize("content_type", ["image/png", "application/json", None])
def test_an_empty_body_is_refused(content_type):
    with pytest.raises(EmptyBodyError, match="it has 0 bytes"):
        read(b"", content_type)


def test_json_without_an_image_is_refused_with_what_it_has():
    with pytest.raises(EmptyBodyError, match="must have an image; it has picture"):
        read(make_json(picture=[[1]]))


@pytest.mark.parametrize(
    "body", [b"{", b"[1, 2]", b"\xff\xfe", b"[" * 100_000, b"7", b'{"image": ' + b"[" * 1000]
)
def test_what_is_not_a_json_object_is_refused(body):
    with pytest.raises(MalformedRequestError, match="the body must be"):
        read(body)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[1, 2], [3]], "rows of one length"),
        ([], "an empty list"),
        (["ab"], "lists of rows"),
        ([[True]], "bool"),
        ("text", "lists of rows"),
        (PNG_BASE64, 'a text. Did you mean {"b64": "..."}, with a file in base64'),
        ({"b64": "not base64!"}, "image.b64 must be base64"),
        ({"base64": "aGk="}, "an object with b64; it has base64"),
        ({"b64": 7}, "an object with b64"),
        ({"b64": "aGk=", "format": 3}, "an object with b64"),
    ],
)
def test_a_bad_json_image_is_refused(image, message):
    with pytest.raises(InvalidImageError, match=message):
        read(make_json(image=image))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[1, 0]], r"image is 3×4, mask is 1×2"),
        ([[1], [1, 2]], "rows of one length"),
        ({"size": [3, 4], "counts": [5, 5]}, "add up to height × width, 12"),
        ({"size": [3, 4], "counts": "~"}, "characters 0 to o"),
        ({"size": [3, 4], "counts": [-1, 13]}, "must not be negative"),
        ({"size": [10**9, 10**9], "counts": []}, "at most"),
        ({"counts": [12]}, "an object with size and counts"),
        ({"b64": "%%%"}, "mask.b64 must be base64"),
    ],
)
def test_a_bad_json_mask_is_refused(mask, message):
    with pytest.raises(InvalidMaskError, match=message):
        read(make_json(image=IMAGE.tolist(), mask=mask))


def test_an_image_of_an_unknown_type_is_refused_with_the_known_ones():
    with pytest.raises(UnsupportedMediaTypeError, match=ACCEPTED):
        read(b"GIF89a" + bytes(20), "image/gif")


def test_a_nested_image_beyond_the_limit_is_refused():
    request = parse_request("application/json", {}, make_json(image=IMAGE.tolist()), LIMITS)

    with pytest.raises(ImageTooLargeError, match="at most 11 pixels; it is 3×4"):
        request.read_samples(FAKE_MANIFEST, ImageLimits(image_pixels=11))


def test_parameters_are_read_from_text_and_from_json_values():
    wanted = Parameters("m", "2", -1.5, 3.0)

    text = {"model": "m", "version": "2", "nodata": "-1.5", "timeout_s": "3"}
    assert read_parameters(text) == wanted
    assert read_parameters(text | {"version": 2, "nodata": -1.5, "timeout_s": 3}) == wanted


def test_empty_parameters_count_as_left_out():
    assert read_parameters({"model": "", "nodata": "", "timeout_s": None}) == Parameters()


def test_nodata_may_be_nan():
    nodata = read_parameters({"nodata": "nan"}).nodata

    assert nodata is not None
    assert math.isnan(nodata)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"timeout": "1"},
            "one of model, version, nodata, timeout_s, stretch, bands, alpha, also; it is timeout",
        ),
        ({"nodata": "zero"}, "nodata must be a number, nan or none; it is 'zero'"),
        ({"nodata": True}, "nodata must be a number, nan or none; it is True"),
        ({"nodata": [1]}, "nodata must be a number"),
        ({"nodata": 10**400}, "nodata must be a number"),
        ({"timeout_s": 0}, "timeout_s must be positive and finite; it is 0"),
        ({"timeout_s": "nan"}, "timeout_s must be positive and finite; it is nan"),
        ({"model": 1.5}, "model must be text; it is 1.5"),
        ({"model": {"name": "m"}}, "model must be text"),
    ],
)
def test_a_bad_parameter_is_refused(given, message):
    with pytest.raises(MalformedRequestError, match=message):
        read_parameters(given)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12)), st.integers())
def test_all_bodies_carry_the_same_sample(image, seed):
    mask = np.random.default_rng(abs(seed)).random(image.shape) < 0.7
    files = {"image": encode_image(image), "mask": encode_image(mask)}
    form = b"".join(
        f'--cut\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in files.items()
    )

    by_form = read(form + b"--cut--\r\n", "multipart/form-data; boundary=cut")
    by_json = read(make_json(image=image.tolist(), mask=rle.encode(mask)))

    assert np.array_equal(by_form.image, by_json.image)
    assert np.array_equal(by_form.mask, by_json.mask)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=10))
def test_no_json_value_breaks_the_reading(value):
    with contextlib.suppress(RequestError):
        read(json.dumps({"image": value, "mask": value}).encode())
