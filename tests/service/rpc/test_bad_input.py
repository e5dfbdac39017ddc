import gzip

import grpc
import numpy as np
import pytest

from lacuna.raster.limits import ImageLimits
from service.interfaces.messages import find_message
from service.listening.body_limits import BodyLimits
from service.wire.oip_grpc.request import MAX_FIELDS
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.rpc import connect, fail, make_infer, name_outputs, read_trailers, serve_rpc

IMAGE = np.full((1, 9, 11, 1), 200, np.uint8)
BODY_BYTES = 300_000
CODES = grpc.StatusCode


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    repository = load_repository(make_repository_folder(tmp_path_factory.mktemp("models")))
    limits = BodyLimits(BODY_BYTES)
    with (
        serve_rpc(make_services(repository, limits, ImageLimits(image_pixels=4096))) as address,
        connect(address) as stub,
    ):
        yield stub


def infer(change=lambda request: None):
    request = make_infer(IMAGE, np.ones((1, 9, 11), bool))
    change(request)
    return request


def describe(index=0, **fields):
    """Return a function that changes the description of an input."""

    def change(request):
        for name, value in fields.items():
            if name == "shape":
                request.inputs[index].shape[:] = value
            else:
                setattr(request.inputs[index], name, value)

    return change


def keep_no_raw(request):
    del request.raw_input_contents[:]


def shorten_raw(request):
    request.raw_input_contents[0] = request.raw_input_contents[0][:-1]


def drop_a_raw(request):
    del request.raw_input_contents[1]


def add_a_raw(request):
    request.raw_input_contents.append(b"more")


def add_contents(request):
    request.inputs[0].contents.uint_contents.append(1)


def put_wrong_contents(request):
    keep_no_raw(request)
    for given in request.inputs:
        given.contents.fp32_contents.extend([1.0] * 99)


def put_few_contents(request):
    keep_no_raw(request)
    request.inputs[0].contents.uint_contents.extend([1] * 98)
    request.inputs[1].contents.bool_contents.extend([True] * 99)


def put_large_contents(request):
    keep_no_raw(request)
    request.inputs[0].contents.uint_contents.extend([256] * 99)
    request.inputs[1].contents.bool_contents.extend([True] * 99)


def put_half_contents(request):
    keep_no_raw(request)
    del request.inputs[1]
    request.inputs[0].datatype = "FP16"
    request.inputs[0].contents.fp32_contents.extend([1.0] * 99)


def share_memory(request):
    request.inputs[0].parameters["shared_memory_region"].string_param = "region"


def set_parameter(name, **value):
    def change(request):
        request.parameters[name].SetInParent()
        for kind, content in value.items():
            setattr(request.parameters[name], kind, content)

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (describe(name="picture"), "name of an input must be one of image, mask"),
        (describe(1, name="image"), "must have each input once"),
        (describe(datatype="BYTES"), "datatype of image must be one of"),
        (describe(datatype=""), "datatype of image must be one of"),
        (describe(1, datatype="FP32"), "datatype of mask must be one of"),
        (describe(shape=[9, 11]), "shape of image must be [N, H, W, C]"),
        (describe(shape=[1, 9, 11, 0]), "sides of image must be from 1"),
        (describe(shape=[1, -9, 11, 1]), "sides of image must be from 1"),
        (describe(shape=[2**62, 2**62, 1, 1]), "sides of image must be from 1 to 4294967296"),
        (describe(shape=[2**32, 2**32, 2**32, 1]), "raw_input_contents of image must have"),
        (describe(shape=[1, 9, 12, 1]), "raw_input_contents of image must have 108 bytes"),
        (shorten_raw, "raw_input_contents of image must have 99 bytes"),
        (drop_a_raw, "must have one item for each of the inputs"),
        (add_a_raw, "must have one item for each of the inputs"),
        (keep_no_raw, "contents of image must be uint_contents"),
        (add_contents, "must have contents or raw_input_contents; it has both"),
        (put_wrong_contents, "contents of image must be uint_contents"),
        (put_few_contents, "data of image must hold 99 numbers"),
        (put_large_contents, "data of image must be in the range of UINT8"),
        (put_half_contents, "must be raw_input_contents if its datatype is FP16"),
        (share_memory, "data of image must be in the body"),
        (lambda request: name_outputs(request, "boxes"), "name of an output must be one of"),
        (lambda request: name_outputs(request, "labels", "labels"), "name each output once"),
        (
            set_parameter("priority", string_param="high"),
            "priority of the parameters must be an integer",
        ),
        (set_parameter("timeout", int64_param=-5), "timeout must be from 0"),
        (set_parameter("timeout", uint64_param=2**64 - 1), "timeout must be from 0"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(stub, change, told):
    error = fail(stub.call, "ModelInfer", infer(change))

    assert error.code() is CODES.INVALID_ARGUMENT, error.details()
    assert told in error.details()
    assert read_trailers(error.trailing_metadata())["code"]


def test_a_request_without_inputs_must_have_an_image(stub):
    empty = find_message("inference.ModelInferRequest")(model_name="fake")
    error = fail(stub.call, "ModelInfer", empty)

    assert error.code() is CODES.INVALID_ARGUMENT
    assert "inputs must have an image" in error.details()


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\xff", b"\x0b", b"\x0a\x02\xff\xff", b"x" * 99])
@pytest.mark.parametrize(
    "method", ["ModelInfer", "ModelMetadata", "RepositoryIndex", "ModelStatistics"]
)
def test_bytes_that_are_no_message_are_refused(stub, method, message):
    if method == "RepositoryIndex" and message == b"\x0a\x02\xff\xff":
        message = b"\x0a\x05x"

    assert fail(stub.call, method, message).code() is CODES.INVALID_ARGUMENT


def test_a_message_over_the_limit_is_refused(stub):
    error = fail(stub.call, "ModelInfer", b"\x00" * (BODY_BYTES + 1))

    assert error.code() is CODES.RESOURCE_EXHAUSTED


def test_a_message_that_grows_beyond_the_limit_is_refused(stub):
    message = b"\x3a\x80\xc0\xa8\x04" + bytes(9_052_160)
    assert len(gzip.compress(message)) < BODY_BYTES

    error = fail(stub.call, "ModelInfer", message, compression=grpc.Compression.Gzip)

    assert error.code() is CODES.RESOURCE_EXHAUSTED


def test_a_large_message_of_many_small_fields_is_refused_before_it_is_parsed(stub):
    many = make_infer(IMAGE).SerializeToString() + b"\x2a\x00" * 100_000
    error = fail(stub.call, "ModelInfer", many)

    assert error.code() is CODES.INVALID_ARGUMENT
    assert f"at most {MAX_FIELDS} fields" in error.details()


def test_an_image_over_the_limit_is_refused_by_its_shape(stub):
    error = fail(stub.call, "ModelInfer", make_infer(np.zeros((1, 65, 64, 1), np.uint8)))

    assert error.code() is CODES.INVALID_ARGUMENT
    assert read_trailers(error.trailing_metadata())["code"] == "image_too_large"


def test_an_unknown_method_is_not_implemented(stub):
    unknown = stub.channel.unary_unary("/inference.GRPCInferenceService/Nothing")

    assert fail(unknown, b"", timeout=30).code() is CODES.UNIMPLEMENTED


def test_a_call_without_a_message_is_refused(stub):
    infer = stub.channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
    error = fail(infer, iter([]), timeout=30)

    assert error.code() is CODES.INVALID_ARGUMENT
    assert error.details() == "a call must have one message; it has none"


def test_a_call_with_two_messages_is_refused(stub):
    infer = stub.channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
    message = make_infer(IMAGE).SerializeToString()
    error = fail(infer, iter([message, message]), timeout=30)

    assert error.code() is CODES.INVALID_ARGUMENT
    assert error.details() == "a call must have one message; it has more"


@pytest.mark.parametrize("fact", ["Metadata", "Config", "Statistics", "Ready"])
@pytest.mark.parametrize(("name", "version"), [("nobody", ""), ("fake", "7"), ("fake", "one")])
def test_facts_about_what_is_not_there_are_not_found(stub, fact, name, version):
    message = find_message(f"inference.Model{fact}Request")(name=name, version=version)

    assert fail(stub.call, f"Model{fact}", message).code() is CODES.NOT_FOUND


def test_a_flood_of_metadata_is_refused_and_the_server_lives_on(stub):
    flood = [(f"x-{i}", "v" * 1000) for i in range(200)]
    error = fail(stub.call, "ModelInfer", make_infer(IMAGE), metadata=flood)

    assert error.code() in (CODES.RESOURCE_EXHAUSTED, CODES.UNAVAILABLE)
    assert stub.call("ServerLive").live


def test_after_all_of_this_nothing_is_pending(stub):
    for _ in range(3):
        assert stub.call("ModelInfer", make_infer(IMAGE)).model_name == "fake"
