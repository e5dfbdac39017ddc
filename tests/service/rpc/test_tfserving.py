"""TensorFlow Serving over gRPC."""

import asyncio
import re
from contextlib import contextmanager

import grpc
import httpx2
import numpy as np
import pytest

from lacuna.raster.limits import ImageLimits
from service.core.versions import VersionPolicy
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from service.interfaces.messages import find_message
from service.runtime.fake import FakeRuntime
from tests.support.apps import (
    encode_image,
    load_fake,
    load_repository,
    make_repository_folder,
    make_services,
)
from tests.support.rpc import connect, fail, serve_both, serve_rpc
from tests.support.runtimes import Gated
from tests.support.tfserving import (
    DT,
    DT_STRING,
    MODEL,
    PREDICTION,
    make_files,
    make_predict,
    make_shaped,
    make_spec,
    make_tensor,
    read_outputs,
)
from tests.support.waiting import wait_until

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (2, 7, 9, 1), np.uint8)
MASKS = RNG.random((2, 7, 9, 1)) < 0.7
EXPECTED = FakeRuntime().run(
    np.where(MASKS, IMAGES, 0).astype(np.float32), MASKS[..., 0], probabilities=True
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "fake/1", "fake/2")
    policy = RepositoryPolicy(versions=VersionPolicy.parse("all"))
    repository = ModelRepository(root, load_fake, policy=policy)
    asyncio.run(repository.load_all())
    with serve_rpc(make_services(repository, image_limits=ImageLimits(10_000))) as address:
        yield address


@pytest.fixture(scope="module")
def prediction(address):
    with connect(address, PREDICTION) as stub:
        yield stub


@pytest.fixture(scope="module")
def models(address):
    with connect(address, MODEL) as stub:
        yield stub


def predict(stub, *tensors, **fields):
    return stub.call("Predict", make_predict(*tensors, **fields))


def test_the_default_signature_gives_labels_and_probabilities(prediction):
    answer = predict(prediction, IMAGES, MASKS)
    outputs = read_outputs(answer)

    assert sorted(outputs) == ["labels", "probabilities"]
    assert np.array_equal(outputs["labels"], EXPECTED.labels)
    assert np.array_equal(outputs["probabilities"], EXPECTED.probabilities * MASKS)
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("fake", 2, "serving_default")


@pytest.mark.parametrize(
    "options", [{"signature_name": "labels"}, {"output_filter": ["labels"]}], ids=min
)
def test_a_request_for_labels_gets_nothing_else(prediction, options):
    outputs = read_outputs(predict(prediction, IMAGES, MASKS, **options))

    assert list(outputs) == ["labels"]
    assert np.array_equal(outputs["labels"], EXPECTED.labels)


@pytest.mark.parametrize(
    ("options", "version"),
    [({}, 2), ({"version": 1}, 1), ({"version_label": "latest"}, 2)],
    ids=["highest", "number", "label"],
)
def test_versions_are_chosen_by_number_and_label(prediction, options, version):
    assert predict(prediction, IMAGES, **options).model_spec.version.value == version


@pytest.mark.parametrize("dtype", sorted(set(DT) - {"bool"}))
def test_any_numbers_make_an_image(prediction, dtype):
    images = (IMAGES // 2).astype(dtype)
    masks = MASKS[..., 0].astype(np.int32) * -3
    outputs = read_outputs(predict(prediction, images, masks))

    valid = np.where(MASKS, IMAGES // 2, 0).astype(np.float32)
    expected = FakeRuntime().run(valid, MASKS[..., 0], probabilities=False)
    assert np.array_equal(outputs["labels"], expected.labels)


def test_files_make_images_and_masks(prediction):
    images = make_files(*(encode_image(image[..., 0]) for image in IMAGES))
    masks = make_files(*(encode_image(mask[..., 0].astype(np.uint8) * 255) for mask in MASKS))

    for mask in (masks, MASKS):
        outputs = read_outputs(predict(prediction, images, mask))
        assert np.array_equal(outputs["labels"], EXPECTED.labels)


def test_what_is_not_finite_is_missing(prediction):
    images = np.where(MASKS, IMAGES, np.nan).astype(np.float32)

    outputs = read_outputs(predict(prediction, images))
    assert np.array_equal(outputs["labels"], EXPECTED.labels)


def test_compressed_messages_are_read(prediction):
    request = make_predict(IMAGES, MASKS)
    answer = prediction.call("Predict", request, compression=grpc.Compression.Gzip)

    assert np.array_equal(read_outputs(answer)["labels"], EXPECTED.labels)


def test_the_signatures_are_described(prediction):
    request = make_spec("GetModelMetadataRequest", metadata_field=["signature_def"])
    answer = prediction.call("GetModelMetadata", request)
    found = find_message("tensorflow.serving.SignatureDefMap")()
    assert answer.metadata["signature_def"].Unpack(found)

    def describe(tensors):
        return {
            name: (info.name, info.dtype, [dim.size for dim in info.tensor_shape.dim])
            for name, info in tensors.items()
        }

    default, labels = (found.signature_def[name] for name in ("serving_default", "labels"))
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("fake", 2)
    assert sorted(found.signature_def) == ["labels", "serving_default"]
    assert describe(default.inputs) == {
        "image": ("image", DT["float32"], [-1, -1, -1, 1]),
        "mask": ("mask", DT["bool"], [-1, -1, -1, 1]),
    }
    assert describe(default.outputs) == {
        "labels": ("labels", DT["uint8"], [-1, -1, -1]),
        "probabilities": ("probabilities", DT["float32"], [-1, -1, -1, 3]),
    }
    assert list(labels.outputs) == ["labels"]
    assert default.method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("options", "versions"),
    [({}, [2, 1]), ({"version": 1}, [1]), ({"version_label": "latest"}, [2])],
)
def test_the_states_of_versions_are_described(models, options, versions):
    answer = models.call("GetModelStatus", make_spec("GetModelStatusRequest", **options))

    available = find_message("tensorflow.serving.ModelVersionStatus").State.Value("AVAILABLE")
    described = [(found.version, found.state) for found in answer.model_version_status]
    assert described == [(version, available) for version in versions]
    assert {found.status.error_code for found in answer.model_version_status} == {0}


FLOATS = IMAGES.astype(np.float32)
NUMBERS = FLOATS.ravel().tolist()
ALL = (2, 7, 9, 1)


def refill(**fields):
    """Make the image with other fields than the right ones."""
    return make_shaped(**{"dtype": DT["float32"], "shape": ALL, **fields})


def leave_rank_unknown():
    tensor = make_tensor(FLOATS)
    tensor.tensor_shape.Clear()
    tensor.tensor_shape.unknown_rank = True
    return tensor


def omit_shape():
    tensor = make_tensor(FLOATS)
    tensor.ClearField("tensor_shape")
    return tensor


MALFORMED_IMAGES = {
    "nothing": (make_shaped(0, ()), "dtype of image must be one of DT_FLOAT.*; it is the number 0"),
    "another dtype": (refill(dtype=8), "dtype of image must be one of .*; it is the number 8"),
    "booleans": (make_tensor(MASKS), "dtype of image must be one of .*; it is DT_BOOL"),
    "no numbers": (
        refill(),
        "image must have its DT_FLOAT in tensor_content or float_val; .*neither",
    ),
    "both kinds of numbers": (
        refill(tensor_content=FLOATS.tobytes(), float_val=NUMBERS),
        "it has tensor_content and float_val",
    ),
    "the field of another dtype": (
        refill(int_val=[1, 2]),
        "in tensor_content or float_val; it has int_val",
    ),
    "too few bytes": (
        refill(tensor_content=FLOATS.tobytes()[:-1]),
        "tensor_content of image must have 504 bytes.*; it has 503",
    ),
    "too many bytes": (
        refill(tensor_content=FLOATS.tobytes() + b"0"),
        "must have 504 bytes.*; it has 505",
    ),
    "too many numbers": (
        refill(float_val=[*NUMBERS, 1]),
        "must have at most 126 values.*; it has 127",
    ),
    "numbers out of range": (
        refill(dtype=DT["uint8"], int_val=[256]),
        "int_val of image must be in the range of DT_UINT8",
    ),
    "negative numbers": (refill(dtype=DT["uint16"], int_val=[-1]), "in the range of DT_UINT16"),
    "halves of more than 16 bits": (
        refill(dtype=DT["float16"], half_val=[65536]),
        "range of DT_HALF",
    ),
    "unknown rank": (leave_rank_unknown(), "rank of image must be 4; it is unknown"),
    "no shape": (omit_shape(), "rank of image must be 4; it is 0"),
    "another rank": (make_tensor(FLOATS[0]), "rank of image must be 4; it is 3"),
    "a negative side": (refill(shape=(2, -1, 9, 1)), "sides of image must be from 1 to"),
    "an empty side": (refill(shape=(2, 0, 9, 1)), "sides of image must be from 1 to"),
    "an image of 2^62 rows": (
        refill(shape=(1, 1 << 62, 9, 1), float_val=[1]),
        "sides of image must be",
    ),
    "too many pixels": (
        refill(shape=(1, 1 << 32, 1 << 32, 1), float_val=[1]),
        "must have at most 10000",
    ),
    "too many images": (refill(shape=(257, 1, 1, 1), float_val=[1]), "at most 256 images"),
    "many dimensions": (refill(shape=(1,) * 1000), "rank of image must be 4; it is 1000"),
    "files that are none": (make_files(b"GIF", b"no image"), "image 0: .*"),
    "files of two sizes": (
        make_files(encode_image(IMAGES[0, ..., 0]), encode_image(IMAGES[0, 1:, :, 0])),
        "images of a request must have one size.*6×9 and 7×9",
    ),
    "fewer files than the shape says": (
        make_shaped(DT_STRING, (2,), string_val=[encode_image(IMAGES[0, ..., 0])]),
        "string_val of image must have 2 values.*; it has 1",
    ),
    "files in a matrix": (
        make_shaped(DT_STRING, (1, 1), string_val=[b"a"]),
        "rank of image must be 1",
    ),
    "files in bytes": (
        make_shaped(DT_STRING, (1,), tensor_content=b"\1a"),
        "DT_STRING in string_val",
    ),
}


@pytest.mark.parametrize("name", MALFORMED_IMAGES)
def test_an_image_that_is_malformed_is_refused(prediction, name):
    image, message = MALFORMED_IMAGES[name]
    error = fail(predict, prediction, image)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert re.search(message, error.details()), error.details()
    assert predict(prediction, IMAGES).outputs


MALFORMED_MASKS = {
    "another height": (make_tensor(MASKS[:, :-1]), "mask must have the image's height and width"),
    "fewer masks than images": (make_tensor(MASKS[:1]), r"N = 2 like the image; .*\[1, 7, 9, 1\]"),
    "two channels": (make_tensor(np.repeat(MASKS, 2, 3)), r"its shape is \[2, 7, 9, 2\]"),
    "floats": (make_tensor(FLOATS), "dtype of mask must be one of .*; it is DT_FLOAT"),
    "halves": (make_tensor(FLOATS.astype(np.float16)), "dtype of mask must be .*; it is DT_HALF"),
    "another rank": (make_tensor(MASKS[0, ..., 0]), "rank of mask must be 3 or 4; it is 2"),
    "nothing": (make_shaped(0, ()), "dtype of mask must be one of"),
    "files that are none": (make_files(b"GIF", b""), "image 0: "),
}


@pytest.mark.parametrize("name", MALFORMED_MASKS)
def test_a_mask_that_is_malformed_is_refused(prediction, name):
    mask, message = MALFORMED_MASKS[name]
    error = fail(predict, prediction, IMAGES, mask)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert re.search(message, error.details()), error.details()
    assert predict(prediction, IMAGES).outputs


def name_another_input():
    request = make_predict(IMAGES)
    request.inputs["depth"].CopyFrom(make_tensor(IMAGES))
    return request


def leave_image_out():
    return make_predict(None, MASKS)


NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT

WRONG_REQUESTS = {
    "unknown model": (make_predict(IMAGES, model="other"), NOT_FOUND, "fake; not other"),
    "no model": (make_predict(IMAGES, model=""), INVALID, "model_spec must name a model"),
    "unknown version": (make_predict(IMAGES, version=9), NOT_FOUND, "fake has 1, 2, not 9"),
    "negative version": (make_predict(IMAGES, version=-1), NOT_FOUND, "not -1"),
    "unknown label": (make_predict(IMAGES, version_label="canary"), NOT_FOUND, "canary"),
    "unknown signature": (
        make_predict(IMAGES, signature_name="embed"),
        INVALID,
        "signature_name must be one of serving_default, labels; it is embed",
    ),
    "unknown input": (name_another_input(), INVALID, "only image and mask; they have depth"),
    "no image": (leave_image_out(), INVALID, "inputs must have an image; they have mask"),
    "unknown output": (
        make_predict(IMAGES, output_filter=["labels", "support"]),
        INVALID,
        "output_filter must name outputs of serving_default, .*; it names support",
    ),
    "output of another signature": (
        make_predict(IMAGES, output_filter=["probabilities"], signature_name="labels"),
        INVALID,
        "outputs of labels, labels; it names probabilities",
    ),
    "nothing": (b"", INVALID, "inputs must have an image; they have none"),
    "no message of protobuf": (
        b"\xff" * 40,
        INVALID,
        "message must be one that protobuf can parse",
    ),
    "a text that is not UTF-8": (b"\x0a\x03\x0a\x01\xff", INVALID, "must be a PredictRequest"),
    "very many fields": (b"\x1a\0" * 5000, INVALID, "at most 4096 fields"),
    "very many fields of a tensor": (
        make_predict(make_files(*[b""] * 5000)),
        INVALID,
        "at most 4096 fields",
    ),
    "very many dimensions": (
        make_predict(refill(shape=(1,) * 5000)),
        INVALID,
        "at most 4096 fields",
    ),
}


@pytest.mark.parametrize("name", WRONG_REQUESTS)
def test_a_wrong_request_is_refused_with_a_status_that_fits(prediction, name):
    request, code, message = WRONG_REQUESTS[name]
    error = fail(prediction.call, "Predict", request)

    assert error.code() is code
    assert re.search(message, error.details()), error.details()
    assert predict(prediction, IMAGES).outputs


def test_the_last_number_stands_for_all_that_follow_it(prediction):
    few = refill(float_val=[10, 200])
    all_numbers = np.full(ALL, 200, np.float32)
    all_numbers[0, 0, 0] = 10

    outputs = (read_outputs(predict(prediction, given)) for given in (few, all_numbers))
    assert len({answer["labels"].tobytes() for answer in outputs}) == 1


DESCRIPTIONS = {
    "no field": ({}, INVALID, "metadata_field must be signature_def; it is none"),
    "another field": ({"metadata_field": ["assets"]}, INVALID, "it is assets"),
    "two fields": (
        {"metadata_field": ["signature_def", "assets"]},
        INVALID,
        "signature_def, assets",
    ),
    "unknown model": ({"metadata_field": ["signature_def"], "model": "x"}, NOT_FOUND, "not x"),
    "no model": ({"metadata_field": ["signature_def"], "model": ""}, INVALID, "must name a model"),
    "unknown version": ({"metadata_field": ["signature_def"], "version": 9}, NOT_FOUND, "not 9"),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_metadata_that_there_are_not_are_refused(prediction, name):
    options, code, message = DESCRIPTIONS[name]
    error = fail(
        prediction.call, "GetModelMetadata", make_spec("GetModelMetadataRequest", **options)
    )

    assert error.code() is code
    assert re.search(message, error.details()), error.details()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"model": "x"}, NOT_FOUND, "not x"),
        ({"model": ""}, INVALID, "must name a model"),
        ({"version": 9}, NOT_FOUND, "it is 9"),
        ({"version_label": "canary"}, NOT_FOUND, "canary"),
    ],
)
def test_states_that_there_are_not_are_refused(models, options, code, message):
    error = fail(models.call, "GetModelStatus", make_spec("GetModelStatusRequest", **options))

    assert error.code() is code
    assert re.search(message, error.details()), error.details()


@pytest.mark.parametrize(
    ("service", "method"), [(PREDICTION, "GetModelMetadata"), (MODEL, "GetModelStatus")]
)
def test_long_messages_that_hold_no_images_are_refused(address, service, method):
    with connect(address, service) as stub:
        error = fail(stub.call, method, b"\x12\0" * 40_000)

        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "at most 65536 bytes; it has 80000" in error.details()


def test_methods_that_are_not_served_are_unimplemented(address):
    with grpc.insecure_channel(address) as channel:
        error = fail(channel.unary_unary(f"/{PREDICTION}/Classify"), b"", timeout=30)

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@contextmanager
def serve_gated(root):
    """Run a server whose model waits, and give a stub, the model and the services."""
    runtime = Gated()
    runtime.go.set()
    repository = load_repository(make_repository_folder(root), lambda _: runtime)
    services = make_services(repository)
    with serve_rpc(services) as address, connect(address, PREDICTION) as stub:
        runtime.go.clear()
        runtime.begun.clear()
        try:
            yield stub, runtime, services
        finally:
            runtime.go.set()


def test_a_client_that_gives_up_frees_its_place(tmp_path):
    with serve_gated(tmp_path) as (stub, runtime, services):
        call = stub.find("Predict").future(make_predict(IMAGES), timeout=60)
        assert runtime.begun.wait(30)
        assert services.gate.pending == 1
        call.cancel()
        assert wait_until(lambda: services.gate.pending == 0)
        runtime.go.set()

        assert predict(stub, IMAGES).outputs


def test_a_deadline_that_passes_is_said_and_frees_its_place(tmp_path):
    with serve_gated(tmp_path) as (stub, runtime, services):
        error = fail(stub.call, "Predict", make_predict(IMAGES), timeout=0.3)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert wait_until(lambda: services.gate.pending == 0)
        runtime.go.set()

        assert predict(stub, IMAGES).outputs


def test_calls_are_counted_by_their_protocol(tmp_path):
    services = make_services(load_repository(make_repository_folder(tmp_path)))
    with serve_both(services) as (http, address), connect(address, PREDICTION) as stub:
        predict(stub, IMAGES)
        fail(predict, stub, make_shaped(0, ()))
        metrics = httpx2.get(f"http://{http}/metrics").text

    for outcome, model in (("ok", "fake"), ("invalid", "")):
        labels = f'model="{model}",outcome="{outcome}",protocol="tfserving-grpc"'
        assert f"lacuna_requests_total{{{labels}}} 1.0" in metrics
