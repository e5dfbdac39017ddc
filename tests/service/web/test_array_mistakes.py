"""Arrays with their axes in another order, and faults of masks, in every protocol."""

import json
from contextlib import contextmanager

import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

RNG = np.random.default_rng(20)
IMAGE = RNG.integers(0, 256, (37, 53, 3), np.uint8)
MASK = RNG.random((37, 53)) < 0.7
WIDE = RNG.integers(0, 256, (70, 600, 3), np.uint8)
DATATYPES = {"uint8": "UINT8", "bool": "BOOL", "float32": "FP32", "float64": "FP64"}


def make_manifest(channels):
    image = FAKE_MANIFEST.image.model_copy(update={"channels": channels})
    return FAKE_MANIFEST.model_copy(update={"image": image})


@contextmanager
def serve_channels(root, channels):
    runtime = FakeRuntime(make_manifest(channels))
    with serve(load_repository(make_repository_folder(root), lambda _: runtime)) as client:
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serve_channels(tmp_path_factory.mktemp("models"), 3) as client:
        yield client


def ask_npy(client, image, mask=None):
    files = {"image": write_npy(image)} | ({} if mask is None else {"mask": write_npy(mask)})
    return client.post("/v1/segment", files=files)


def ask_json(client, image, mask=None):
    content = {"image": image.tolist()} | ({} if mask is None else {"mask": mask.tolist()})
    return client.post("/v1/segment", content=json.dumps(content), headers=JSON_TYPE)


def ask_oip(client, image, mask=None):
    given = [("image", image)] + ([] if mask is None else [("mask", mask)])
    inputs = [
        {
            "name": name,
            "shape": [1, *array.shape],
            "datatype": DATATYPES[str(array.dtype)],
            "data": array.ravel().tolist(),
        }
        for name, array in given
    ]
    return client.post("/v2/models/fake/infer", content=json.dumps({"inputs": inputs}))


def ask_binary_oip(client, image, mask=None):
    given = [("image", image)] + ([] if mask is None else [("mask", mask)])
    inputs = [
        {
            "name": name,
            "shape": [1, *array.shape],
            "datatype": DATATYPES[str(array.dtype)],
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in given
    ]
    text = json.dumps({"inputs": inputs}).encode()
    body = text + b"".join(np.ascontiguousarray(array).tobytes() for _, array in given)
    headers = {"Inference-Header-Content-Length": str(len(text))}
    return client.post("/v2/models/fake/infer", content=body, headers=headers)


def ask_rows(client, image, mask=None):
    row = {"image": image.tolist()} | ({} if mask is None else {"mask": mask.tolist()})
    return client.post("/v1/models/fake:predict", content=json.dumps({"instances": [row]}))


def ask_columns(client, image, mask=None):
    columns = {"image": [image.tolist()]} | ({} if mask is None else {"mask": [mask.tolist()]})
    return client.post("/v1/models/fake:predict", content=json.dumps({"inputs": columns}))


JSON_TYPE = {"Content-Type": "application/json"}
NATIVE = (ask_npy, ask_json)
ALL = (*NATIVE, ask_oip, ask_binary_oip, ask_rows, ask_columns)
EVERY_PROTOCOL = pytest.mark.parametrize("ask", ALL)


def read_error(response):
    """Return the code, if the protocol has codes, and the message of a refusal."""
    assert 400 <= response.status_code < 500, response.text
    content = response.json()
    return content.get("code"), content.get("detail") or content["error"]


def channels_first(image):
    return np.moveaxis(image, 2, 0)


@EVERY_PROTOCOL
def test_channels_first_are_answered_with_a_hint(client, ask):
    code, message = read_error(ask(client, channels_first(IMAGE)))

    assert message == (
        "model fake takes 3 channels; the image has 53; channels must be the last axis of an "
        "array: did you mean (37, 53, 3) instead of (3, 37, 53)?"
    )
    assert code in (None, "channel_mismatch")


@EVERY_PROTOCOL
def test_channels_first_beyond_the_limit_of_channels_are_answered_with_a_hint(client, ask):
    code, message = read_error(ask(client, channels_first(WIDE)))

    assert message == (
        "image must have at most 512 channels; it has 600; channels must be the last axis of an "
        "array: did you mean (70, 600, 3) instead of (3, 70, 600)?"
    )
    assert code in (None, "image_too_large")


@EVERY_PROTOCOL
def test_a_right_mask_is_not_blamed_for_an_image_with_channels_first(client, ask):
    code, message = read_error(ask(client, channels_first(IMAGE), MASK))

    assert message == (
        "image must have the mask's height and width, 37×53; it is 3×37 with 53 channels; "
        "channels must be the last axis of an array: did you mean (37, 53, 3) instead of "
        "(3, 37, 53)?"
    )
    assert code in (None, "channel_mismatch")


def test_a_batch_of_one_with_channels_first_is_answered_with_a_hint(client):
    _, message = read_error(ask_npy(client, channels_first(IMAGE)[None]))

    assert "did you mean (37, 53, 3) instead of (3, 37, 53)?" in message


@pytest.mark.parametrize(
    ("channels", "shape"),
    [
        (1, (1, 37, 53)),
        (1, (3, 37, 53)),
        (3, (1, 37, 53)),
        (4, (4, 37, 53)),
        (13, (13, 37, 53)),
    ],
)
def test_the_hint_is_given_where_the_turned_image_would_fit(tmp_path, channels, shape):
    first, height, width = shape
    with serve_channels(tmp_path, channels) as client:
        for ask in ALL:
            _, message = read_error(ask(client, np.zeros(shape, np.uint8)))
            assert f"did you mean ({height}, {width}, {first}) instead of {shape}?" in message


@pytest.mark.parametrize(
    ("channels", "shape"), [(3, (37, 53, 4)), (3, (4, 37, 53)), (4, (37, 53, 3)), (13, (3, 37, 53))]
)
def test_no_other_order_of_axes_is_suggested_where_it_would_not_help(tmp_path, channels, shape):
    with serve_channels(tmp_path, channels) as client:
        for ask in ALL:
            _, message = read_error(ask(client, np.zeros(shape, np.uint8)))
            rule = f"model fake takes {channels} channels; the image has {shape[2]}"
            more = shape[2] > channels
            assert message.startswith(f"{rule}: choose {channels} of them" if more else rule)
            assert "did you mean" not in message


def strip(response):
    assert response.status_code == 200, response.text
    content = response.json()
    content.pop("timings_ms", None)
    return content


@EVERY_PROTOCOL
@pytest.mark.parametrize(
    "turn",
    [
        lambda mask: mask[:, :, None],
        lambda mask: mask.astype(np.uint8),
        lambda mask: mask[:, :, None].astype(np.uint8) * 255,
    ],
    ids=["axis of channels", "numbers", "255"],
)
def test_masks_are_read_in_every_shape_and_of_every_number(client, ask, turn):
    assert strip(ask(client, IMAGE, turn(MASK))) == strip(ask(client, IMAGE, MASK))


@pytest.mark.parametrize("ask", [ask_npy, ask_json, ask_rows, ask_columns])
def test_a_mask_may_have_an_axis_of_batches(client, ask):
    plain = strip(ask(client, IMAGE, MASK))

    assert strip(ask(client, IMAGE, MASK[None])) == plain
    wide = np.ones(WIDE.shape[:2], np.bool_)
    assert strip(ask(client, WIDE, wide[None])) == strip(ask(client, WIDE, wide))
    if ask is ask_npy:
        assert strip(ask(client, IMAGE[None], MASK[None, :, :, None])) == plain
        assert strip(ask(client, IMAGE, MASK[None].astype(np.float64))) == plain


FAULTS = {
    "other size": (MASK[:-1], "mask must have the image's height and width; image is 37×53"),
    "turned": (
        MASK.T,
        "mask must have the image's height and width; image is 37×53, mask is 53×37",
    ),
    "channels": (np.stack([MASK, ~MASK, MASK], 2), "mask must"),
    "channels first": (np.stack([MASK, ~MASK, MASK]), "mask must"),
    "batch of two": (np.stack([MASK, ~MASK]), "mask must"),
    "row": (MASK[0], "mask"),
    "NaN": (np.where(MASK, 1.0, np.nan), "mask"),
    "empty": (MASK[:0], "mask"),
}


@EVERY_PROTOCOL
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_mask_is_called_the_masks(client, ask, fault):
    mask, beginning = FAULTS[fault]
    code, message = read_error(ask(client, IMAGE, mask))

    if ask not in (ask_oip, ask_binary_oip):
        assert message.startswith(beginning)
    assert "mask" in message
    assert "image must" not in message
    assert code in (None, "invalid_mask")


@pytest.mark.parametrize(
    ("mask", "code", "message"),
    [
        (b"GIF89a" + bytes(20), "unsupported_media_type", "it is GIF"),
        (b"neither nor" + bytes(20), "invalid_mask", "not an image"),
        (write_npy(np.zeros((9000, 9000), np.bool_)), "image_too_large", "at most 16777216 pixels"),
        (write_npy(np.zeros((2, 2, 2, 2), np.bool_)), "invalid_mask", "it is (2, 2, 2, 2)"),
        (encode_image(MASK)[:-20], "invalid_mask", "whole and undamaged"),
        (write_npy(MASK)[:-1], "invalid_mask", "it holds 1960"),
    ],
    ids=["GIF", "nothing", "too large", "four axes", "damaged", "cut short"],
)
def test_a_mask_file_that_cannot_be_read_is_called_the_mask(client, mask, code, message):
    files = {"image": write_npy(IMAGE), "mask": mask}
    found, detail = read_error(client.post("/v1/segment", files=files))

    assert found == code
    assert detail.startswith("mask cannot be read: ")
    assert message in detail


@pytest.mark.parametrize(
    "value", ["text", {"a": 1}, 7, True, [[None] * 53] * 37, [["1"] * 53] * 37]
)
def test_a_value_that_is_no_mask_is_called_the_mask(client, value):
    content = {"image": IMAGE.tolist(), "mask": value}
    code, detail = read_error(client.post("/v1/segment", json=content))
    row = {"instances": [content]}
    _, error = read_error(client.post("/v1/models/fake:predict", json=row))

    assert code == "invalid_mask"
    assert detail.startswith("mask")
    assert error.startswith("mask")


@pytest.mark.parametrize("datatype", ["FP32", "BYTES", "FLOAT", None])
def test_a_datatype_that_masks_do_not_have_is_called_the_masks(client, datatype):
    tensors = [
        {"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3]},
        {"name": "mask", "datatype": datatype, "shape": [1, 1, 1], "data": [1]},
    ]
    _, message = read_error(client.post("/v2/models/fake/infer", json={"inputs": tensors}))

    assert message.startswith("datatype of mask must be one of BOOL, UINT8")
