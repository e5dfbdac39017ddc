import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.errors import MalformedRequestError
from service.interfaces.messages import find_message
from service.wire.message_fields import find_fields, frame
from service.wire.oip.outputs import OUTPUTS
from service.wire.oip_grpc.request import parse_infer, split_raw
from service.wire.oip_grpc.stream import read_id, render_error, wrap_answer

Request = find_message("inference.ModelInferRequest")
NUMBERS = np.arange(12).reshape(1, 3, 4, 1)

CONTENTS = {
    "UINT8": ("uint_contents", np.uint8),
    "UINT16": ("uint_contents", np.uint16),
    "UINT32": ("uint_contents", np.uint32),
    "UINT64": ("uint64_contents", np.uint64),
    "INT8": ("int_contents", np.int8),
    "INT16": ("int_contents", np.int16),
    "INT32": ("int_contents", np.int32),
    "INT64": ("int64_contents", np.int64),
    "FP32": ("fp32_contents", np.float32),
    "FP64": ("fp64_contents", np.float64),
}


def make_request(datatype="UINT8", **fields):
    request = Request(model_name="m", **fields)
    request.inputs.add(name="image", datatype=datatype, shape=NUMBERS.shape)
    return request


def parse(request, timeout_s=None):
    return parse_infer(request.SerializeToString(), timeout_s)


@pytest.mark.parametrize("datatype", CONTENTS)
def test_typed_and_raw_contents_are_the_same_numbers(datatype):
    field, dtype = CONTENTS[datatype]
    raw, typed = make_request(datatype), make_request(datatype)
    raw.raw_input_contents.append(NUMBERS.astype(dtype).tobytes())
    getattr(typed.inputs[0].contents, field).extend(NUMBERS.astype(dtype).ravel().tolist())

    for request in (raw, typed):
        found = parse(request).image.read()
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, NUMBERS)


def test_a_large_message_is_parsed_as_a_small_one():
    image = np.random.default_rng(3).integers(0, 256, (2, 200, 200, 3), np.uint8)
    mask = np.random.default_rng(4).random((2, 200, 200)) < 0.5
    request = Request(model_name="m", model_version="3", id="seven")
    request.inputs.add(name="image", datatype="UINT8", shape=image.shape)
    request.inputs.add(name="mask", datatype="BOOL", shape=mask.shape)
    request.raw_input_contents.extend([image.tobytes(), mask.tobytes()])
    request.parameters["priority"].int64_param = 1
    request.parameters["timeout"].uint64_param = 2_000_000

    parsed = parse(request)

    np.testing.assert_array_equal(parsed.image.read(), image)
    np.testing.assert_array_equal(parsed.mask.read(), mask)
    assert parsed.target[:2] == ("m", "3")
    assert (parsed.id, parsed.priority, parsed.timeout_s) == ("seven", 1, 2.0)
    assert [output.name for output in parsed.outputs] == list(OUTPUTS)


@pytest.mark.parametrize(
    ("timeout_us", "left_s", "expected"),
    [(0, None, None), (0, 1.5, 1.5), (2_000_000, None, 2.0), (2_000_000, 1.5, 1.5), (1, 1.5, 1e-6)],
)
def test_the_smaller_of_timeout_and_deadline_counts(timeout_us, left_s, expected):
    request = make_request()
    request.raw_input_contents.append(bytes(12))
    request.parameters["timeout"].int64_param = timeout_us

    assert parse(request, left_s).timeout_s == expected


@given(
    st.lists(st.binary(max_size=400), max_size=4),
    st.text(max_size=200),
    st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), max_size=3),
    st.permutations(range(3)),
)
def test_a_message_is_split_as_the_library_parses_it(raw, name, shapes, order):
    inputs, rest = Request(), Request(id=name, model_name=name)
    for shape in shapes:
        inputs.inputs.add(name=name, shape=shape)
    parts = [Request(raw_input_contents=raw), inputs, rest]
    message = b"".join(parts[index].SerializeToString() for index in order)

    described, found = split_raw(message)

    whole = Request.FromString(message)
    assert [bytes(content) for content in found] == list(whole.raw_input_contents) == raw
    del whole.raw_input_contents[:]
    assert Request.FromString(described) == whole
    assert read_id(message) == name


@given(st.binary(max_size=60))
def test_bytes_that_are_no_message_are_refused_or_end_where_they_end(message):
    try:
        fields = list(find_fields(message))
    except MalformedRequestError:
        return
    assert [field.begin for field in fields][1:] == [field.end for field in fields][:-1]
    assert not fields or fields[-1].end == len(message)


@given(st.integers(1, 15), st.integers(0, 70_000))
def test_a_frame_is_what_the_library_writes_before_a_field(number, size):
    (field,) = find_fields(frame(number, size) + bytes(size))

    assert (field.number, field.end - field.content) == (number, size)


def test_answers_of_a_stream_are_messages_of_the_library():
    stream = find_message("inference.ModelStreamInferResponse")
    answer = find_message("inference.ModelInferResponse")(
        model_name="m", raw_output_contents=[bytes(300)]
    )
    good = stream.FromString(wrap_answer(answer.SerializeToString()))
    bad = stream.FromString(render_error("seven", "a rule; what came", {"code": "not_ready"}))

    assert good.infer_response.raw_output_contents[0] == bytes(300)
    assert good.infer_response.parameters["triton_final_response"].bool_param
    assert (bad.error_message, bad.infer_response.id) == ("a rule; what came", "seven")
    assert bad.infer_response.parameters["code"].string_param == "not_ready"
