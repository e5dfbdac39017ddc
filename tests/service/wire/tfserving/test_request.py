import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    InvalidImageError,
    InvalidMaskError,
    MalformedRequestError,
    RequestError,
    UnsupportedMediaTypeError,
)
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import write_npy
from service.runtime.fake import FAKE_MANIFEST
from service.wire.tfserving.request import parse_predict
from tests.support.apps import encode_image

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)
MASK = IMAGE % 3 > 0
SMALL = IMAGE[:2, :3]
LIMITS = ImageLimits(image_pixels=1000)


def encode_base64(data):
    return {"b64": base64.b64encode(data).decode()}


IMAGES = {
    "H×W": IMAGE.tolist(),
    "H×W×1": IMAGE[..., None].tolist(),
    "PNG": encode_base64(encode_image(IMAGE)),
    "NPY": encode_base64(write_npy(IMAGE)),
}
MASKS = {
    "booleans": MASK.tolist(),
    "numbers": MASK.astype(int).tolist(),
    "H×W×1": MASK[..., None].tolist(),
    "PNG": encode_base64(encode_image(MASK)),
}


def parse(**content):
    return parse_predict(json.dumps(content).encode(), LIMITS)


def read(limits=LIMITS, **content):
    return parse(**content).read_samples(FAKE_MANIFEST, limits)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_rows_and_columns_carry_images_and_masks_in_every_form(image, mask):
    (row,) = read(instances=[{"image": image, "mask": mask}])
    (column,) = read(inputs={"image": [image], "mask": [mask]})

    for sample in (row, column):
        assert np.array_equal(sample.image[..., 0], IMAGE)
        assert np.array_equal(sample.mask, MASK)


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("name", ["instances", "inputs"])
def test_an_image_alone_needs_no_name(name, image):
    (sample,) = read(**{name: [image]})

    assert np.array_equal(sample.image[..., 0], IMAGE)
    assert sample.mask.all()


@pytest.mark.parametrize(
    "content",
    [
        {"instances": [{"image": IMAGE.tolist()}, {"image": SMALL.tolist()}]},
        {"instances": [IMAGE.tolist(), SMALL.tolist()]},
        {"inputs": {"image": [IMAGE.tolist(), SMALL.tolist()]}},
        {"inputs": [IMAGE.tolist(), SMALL.tolist()]},
    ],
)
def test_images_may_be_of_different_sizes(content):
    assert [sample.size for sample in read(**content)] == [(3, 4), (2, 3)]


def test_some_rows_may_have_masks_and_others_none():
    first, second = read(
        instances=[{"image": IMAGE.tolist(), "mask": MASK.tolist()}, {"image": IMAGE.tolist()}]
    )

    assert np.array_equal(first.mask, MASK)
    assert second.mask.all()


def test_nan_and_null_are_missing_pixels():
    request = parse_predict(b'{"instances": [[[1, NaN], [null, Infinity]]]}', LIMITS)
    (sample,) = request.read_samples(FAKE_MANIFEST, LIMITS)

    assert sample.mask.tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(
    ("content", "outputs"),
    [
        ({}, ("labels", "probabilities")),
        ({"signature_name": ""}, ("labels", "probabilities")),
        ({"signature_name": "serving_default"}, ("labels", "probabilities")),
        ({"signature_name": "labels"}, ("labels",)),
    ],
)
def test_the_signature_decides_what_is_computed(content, outputs):
    request = parse(instances=[[[1]]], **content)

    assert request.outputs == outputs
    assert request.planes == tuple(name for name in outputs if name != "labels")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"instances": [[[1]]], "signature_name": "x"}, "one of serving_default, labels; it is x"),
        ({"instances": [[[1]]], "signature_name": 1}, "signature_name of the request must be text"),
        ({}, "must have instances or inputs; it has neither"),
        ({"instances": [], "inputs": []}, "it has both"),
        ({"instances": {"image": [[1]]}}, "instances must be a list; it is a dict"),
        ({"instances": None}, "instances must be a list"),
        ({"instances": [{"mask": [[1]]}]}, "an instance must have an image; it has mask"),
        ({"instances": [{}]}, "an instance must have an image; it has none"),
        ({"instances": [{"image": None}]}, "an instance must have an image; it has none"),
        ({"instances": [{"image": None, "mask": [[1]]}]}, "have an image; it has mask"),
        ({"instances": [{"image": [[1]], "nodata": 1}]}, "nodata is neither"),
        ({"inputs": {"mask": [[[1]]]}}, "inputs must have an image; it has mask"),
        ({"inputs": {"image": 1}}, "image of inputs must be a list"),
        ({"inputs": {"image": [[[1]]], "mask": {}}}, "mask of inputs must be a list"),
        ({"inputs": {"image": [[[1]]], "mask": []}}, "equal lengths; image has 1, mask 0"),
        ({"inputs": {"b64": "AA=="}}, "image of inputs must be a list"),
        ({"inputs": 7}, "image of inputs must be a list"),
        ({"instances": [[[1]]] * 257}, "at most 256 images; it holds 257"),
    ],
)
def test_a_request_that_cannot_be_understood_is_refused(content, message):
    with pytest.raises(MalformedRequestError, match=message):
        parse(**content)


@pytest.mark.parametrize("content", [{"instances": []}, {"inputs": {"image": []}}, {"inputs": []}])
def test_a_request_without_images_is_refused(content):
    with pytest.raises(EmptyBodyError, match="it holds none"):
        parse(**content)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ([[1, 2], [3]], InvalidImageError, "rows of one length"),
        ([], InvalidImageError, "an empty list"),
        (7, InvalidImageError, "lists of rows"),
        ([["1"]], InvalidImageError, "it holds a str"),
        ({"b64": "?"}, InvalidImageError, "image.b64 must be base64"),
        ({"b64": "aé"}, InvalidImageError, "image.b64 must be base64"),
        ({"b64": 7}, InvalidImageError, "b64 alone; it has b64"),
        ({"b64": "AA==", "x": 1}, InvalidImageError, "b64 alone; it has b64, x"),
        (encode_base64(b"hello"), InvalidImageError, "not an image"),
        (encode_base64(b"GIF89a"), UnsupportedMediaTypeError, "it is GIF"),
        ([[0] * 1001], ImageTooLargeError, "at most 1000 pixels"),
    ],
)
def test_a_bad_image_is_refused_with_its_number(image, error, message):
    with pytest.raises(error, match=f"image 1: .*{message}"):
        read(instances=[{"image": [[1]]}, {"image": image}])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[1, 0]], "image is 3×4, mask is 1×2"),
        ([["x"]], "it holds a str"),
        (encode_base64(b"hello"), "mask cannot be read"),
        ({"counts": [12]}, "b64 alone; it has counts"),
    ],
)
def test_a_bad_mask_is_refused(mask, message):
    with pytest.raises(InvalidMaskError, match=message):
        read(instances=[{"image": IMAGE.tolist(), "mask": mask}])


def test_limits_are_those_of_all_images_together():
    content = {"instances": [IMAGE.tolist(), SMALL.tolist()]}

    assert len(read(ImageLimits(18), **content)) == 2
    with pytest.raises(ImageTooLargeError, match=r"image 1: .*at most 17 pixels together"):
        read(ImageLimits(17), **content)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: (
        st.lists(values) | st.dictionaries(st.sampled_from(["image", "mask", "b64"]), values)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["instances", "inputs", "signature_name"]), JSON_VALUES))
def test_whatever_comes_is_read_or_refused(content):
    try:
        request = parse(**content)
        samples = request.read_samples(FAKE_MANIFEST, LIMITS)
    except RequestError:
        return
    assert len(samples) == len(request.images) > 0
