import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    InvalidMaskError,
    MalformedRequestError,
    RequestError,
)
from lacuna.raster.limits import ImageLimits
from service.runtime.fake import FAKE_MANIFEST
from service.wire.oip.request import parse_infer

IMAGE = np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1)
MASK = IMAGE[..., 0] % 3 > 0
LIMITS = ImageLimits(image_pixels=1000)


def describe(name, array, datatype, **changes):
    size = {"binary_data_size": array.nbytes}
    return {
        "name": name,
        "shape": list(array.shape),
        "datatype": datatype,
        "parameters": size,
    } | changes


IMAGE_INPUT = describe("image", IMAGE, "UINT8")
MASK_INPUT = describe("mask", MASK, "BOOL")
JSON_INPUT = {
    "name": "image",
    "shape": [1, 3, 4, 1],
    "datatype": "UINT8",
    "data": IMAGE.ravel().tolist(),
}
MASK_JSON = {"name": "mask", "shape": [1, 1, 1], "datatype": "BOOL", "data": [True]}


def parse(*inputs, raw=b"", header=None, **members):
    text = json.dumps({"inputs": inputs} | members).encode()
    header = str(len(text)) if header is None and raw else header
    return parse_infer(header, text + raw, LIMITS)


def read(*inputs, raw=b"", limits=LIMITS, **members):
    return parse(*inputs, raw=raw, **members).read_samples(FAKE_MANIFEST, limits)


@pytest.mark.parametrize("mask", [MASK, MASK[..., None]], ids=["N×H×W", "N×H×W×1"])
def test_a_mask_may_have_a_channel(mask):
    (sample,) = read(
        IMAGE_INPUT, describe("mask", mask, "BOOL"), raw=IMAGE.tobytes() + mask.tobytes()
    )

    assert np.array_equal(sample.mask, MASK[0])


def test_tensors_follow_each_other_in_the_order_of_the_inputs():
    (sample,) = read(MASK_INPUT, IMAGE_INPUT, raw=MASK.tobytes() + IMAGE.tobytes())

    assert np.array_equal(sample.mask, MASK[0])
    assert np.array_equal(sample.image, IMAGE[0])


def test_raw_and_json_inputs_may_be_mixed():
    (sample,) = read(JSON_INPUT, MASK_INPUT, raw=MASK.tobytes())

    assert np.array_equal(sample.mask, MASK[0])
    assert np.array_equal(sample.image, IMAGE[0])


def test_every_image_becomes_a_sample():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    samples = read(describe("image", images, "UINT8"), raw=images.tobytes())

    assert [np.array_equal(s.image, image) for s, image in zip(samples, images, strict=True)]
    assert all(sample.mask.all() for sample in samples)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("0", "must be more than 0, because the JSON names the inputs"),
        ("99999", "must be at most the body's"),
        ("-1", "must be a number of bytes; it is '-1'"),
        ("1e2", "must be a number of bytes"),
        ("", "must be a number of bytes"),
        ("9" * 30, "must be a number of bytes"),
        ("5", "the body must be JSON"),
    ],
)
def test_a_wrong_header_length_is_refused(header, message):
    with pytest.raises(MalformedRequestError, match=message):
        parse(IMAGE_INPUT, raw=IMAGE.tobytes(), header=header)


def test_raw_bytes_without_a_header_length_are_refused_with_its_name():
    text = json.dumps({"inputs": [IMAGE_INPUT]}).encode()

    with pytest.raises(
        MalformedRequestError, match="Inference-Header-Content-Length must be its length"
    ):
        parse_infer(None, text + IMAGE.tobytes(), LIMITS)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"x" * 11, "must hold the 12 bytes of image; it has 11 left"),
        (b"x" * 13, "they take 12, and there are 13"),
    ],
)
def test_missing_and_trailing_bytes_are_refused(raw, message):
    with pytest.raises(MalformedRequestError, match=message):
        parse(IMAGE_INPUT, raw=raw)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": {"binary_data_size": 11}}, "must be 12, the size of UINT8 .*; it is 11"),
        ({"parameters": {"binary_data_size": -1}}, "it is -1"),
        ({"parameters": {"binary_data_size": "12"}}, "must be an integer; it is of type str"),
        ({"parameters": {"binary_data_size": True}}, "must be an integer; it is of type bool"),
        ({"parameters": []}, "parameters of image must be an object"),
        (
            {"parameters": {"shared_memory_region": "x"}},
            "it is in shared memory, which is not supported",
        ),
        ({"parameters": {}}, "it has neither"),
        ({"data": [1] * 12}, "must have data, or binary_data_size in its parameters; it has both"),
        ({"datatype": "UINT16"}, "must be 24, the size of UINT16"),
        ({"datatype": "BYTES"}, "datatype of image must be one of UINT8, .*; it is 'BYTES'"),
        ({"datatype": "BOOL"}, "datatype of image must be one of"),
        ({"datatype": 1}, "datatype of image must be text"),
        ({"shape": [2**62, 2**62, 2**62, 2**62]}, "sides of image must be from 1 to"),
        ({"shape": [2**31, 2**31, 2**31, 2**31]}, "must be 2126764793.*, the size of UINT8"),
        ({"shape": [1, -3, -4, 1]}, "sides of image must be from 1 to"),
        ({"shape": [1, 0, 4, 1]}, "sides of image must be from 1 to"),
        ({"shape": [0, 3, 4, 1]}, "sides of image must be from 1 to"),
        ({"shape": [3, 4]}, r"shape of image must be \[N, H, W, C\]; it is \[3, 4\]"),
        ({"shape": [1, 3, 4, 1.0]}, "shape of image must be"),
        ({"shape": [1, 3, 4, True]}, "shape of image must be"),
        ({"shape": [1] * 1000}, "shape of image must be"),
        ({"shape": "1341"}, "shape of image must be a list"),
        ({"shape": None}, "shape of image must be"),
        ({"name": "picture"}, "one of image, mask; it is 'picture'"),
        ({"name": None}, "one of image, mask; it is None"),
        ({"name": 7}, "name of an input must be text"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_input_that_is_not_what_it_must_be_is_refused(changes, message):
    with pytest.raises(MalformedRequestError, match=message):
        parse(IMAGE_INPUT | changes, raw=IMAGE.tobytes())


def test_an_input_that_is_there_twice_is_refused():
    with pytest.raises(MalformedRequestError, match="it has image twice"):
        parse(IMAGE_INPUT, IMAGE_INPUT, raw=IMAGE.tobytes() * 2)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "inputs must have an image; they have none"),
        ([MASK_JSON], "inputs must have an image; they have mask"),
        ([7], "an input must be an object; it is 7"),
        (["image"], "an input must be an object"),
    ],
)
def test_without_an_image_nothing_can_be_done(inputs, message):
    with pytest.raises(MalformedRequestError, match=message):
        parse(*inputs)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([1, 4, 3], "image is 3×4, mask is 4×3"),
        ([2, 3, 4], "with N = 1 like the image"),
        ([1, 3, 4, 2], r"or \[N, H, W, 1\]"),
    ],
)
def test_a_mask_of_another_shape_is_refused(shape, message):
    mask = np.ones(shape, np.bool_)

    with pytest.raises(InvalidMaskError, match=message):
        read(IMAGE_INPUT, describe("mask", mask, "BOOL"), raw=IMAGE.tobytes() + mask.tobytes())


def test_a_mask_of_fractions_is_refused():
    mask = MASK.astype(np.float32)

    with pytest.raises(MalformedRequestError, match="datatype of mask must be one of BOOL, UINT8"):
        parse(IMAGE_INPUT, describe("mask", mask, "FP32"), raw=IMAGE.tobytes() + mask.tobytes())


def test_limits_are_those_of_all_images_together():
    images = np.zeros((4, 5, 5, 1), np.uint8)
    given = describe("image", images, "UINT8")

    assert len(read(given, raw=images.tobytes(), limits=ImageLimits(100))) == 4
    with pytest.raises(ImageTooLargeError, match="at most 99 pixels together; they have 100"):
        read(given, raw=images.tobytes(), limits=ImageLimits(99))
    with pytest.raises(ImageTooLargeError, match="at most 24 pixels; it is 5×5"):
        read(given, raw=images.tobytes(), limits=ImageLimits(24))


def test_too_many_images_are_refused_before_anything_is_done_for_them():
    images = np.zeros((257, 1, 1, 1), np.uint8)

    with pytest.raises(MalformedRequestError, match="at most 256 images; it holds 257"):
        read(describe("image", images, "UINT8"), raw=images.tobytes())


def test_a_shape_that_is_too_large_is_refused_before_its_numbers_are_read():
    with pytest.raises(ImageTooLargeError, match="at most 1000 pixels"):
        read(JSON_INPUT | {"shape": [1, 2**20, 2**20, 1]})


def test_an_empty_body_is_refused():
    with pytest.raises(EmptyBodyError, match="it has 0 bytes"):
        parse_infer(None, b"", LIMITS)


@pytest.mark.parametrize(
    ("parameters", "timeout_s", "priority"),
    [
        ({}, None, 0),
        ({"timeout": 0, "priority": 0}, None, 0),
        ({"timeout": 2_500_000}, 2.5, 0),
        ({"priority": 1}, None, 1),
        ({"priority": 2}, None, 0),
        ({"priority": 5}, None, -3),
        ({"sequence_id": 7, "mine": "x"}, None, 0),
    ],
)
def test_parameters_are_read(parameters, timeout_s, priority):
    request = parse(IMAGE_INPUT, raw=IMAGE.tobytes(), parameters=parameters)

    assert (request.timeout_s, request.priority) == (timeout_s, priority)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"parameters": {"timeout": -1}}, "timeout must be from 0 to"),
        ({"parameters": {"timeout": 1.5}}, "timeout of the parameters must be an integer"),
        ({"parameters": {"timeout": 10**400}}, "timeout must be from 0 to"),
        ({"parameters": {"priority": -1}}, "priority must be from 0 to"),
        ({"parameters": {"priority": "high"}}, "priority of the parameters must be an integer"),
        ({"parameters": [1]}, "parameters of the request must be an object"),
        ({"id": 7}, "id of the request must be text"),
        ({"inputs": {}}, "inputs of the request must be a list"),
    ],
)
def test_bad_members_are_refused(members, message):
    with pytest.raises(MalformedRequestError, match=message):
        parse(IMAGE_INPUT, raw=IMAGE.tobytes(), **members)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["image", "mask"])},
        optional={
            "shape": st.lists(st.integers(-1, 5)) | JSON_VALUES,
            "datatype": st.sampled_from(["UINT8", "FP32", "BOOL"]) | JSON_VALUES,
            "data": JSON_VALUES,
            "parameters": JSON_VALUES,
        },
    ),
    st.binary(max_size=20),
)
def test_whatever_comes_is_read_or_refused(given_input, raw):
    text = json.dumps({"inputs": [given_input]}).encode()
    with contextlib.suppress(RequestError):
        parse_infer(str(len(text)), text + raw, LIMITS).read_samples(FAKE_MANIFEST, LIMITS)
