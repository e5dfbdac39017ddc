"""What NVIDIA's client sends and is sent, byte for byte."""

import numpy as np
import pytest
import tritonclient.http

from lacuna.raster.limits import ImageLimits
from lacuna.sample import Segmentation
from service.runtime.fake import FAKE_MANIFEST
from service.wire.oip.answer import render_infer
from service.wire.oip.request import parse_infer

IMAGE = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
MASK = np.array([[[True, True, False], [True, False, True]]])
LABELS = np.array([[0, 1, 255], [2, 255, 1]], np.uint8)
PROBABILITIES = np.where(LABELS[..., None] == range(3), np.float32(0.75), np.float32(0.125))

BINARY_REQUEST = (
    b'{"inputs":[{"name":"image","shape":[1,2,3,1],"datatype":"UINT8",'
    b'"parameters":{"binary_data_size":6}},'
    b'{"name":"mask","shape":[1,2,3],"datatype":"BOOL","parameters":{"binary_data_size":6}}],'
    b'"parameters":{"binary_data_output":true}}'
)
BINARY_DATA = b"\0\1\2\3\4\5" + b"\1\1\0\1\0\1"
BINARY_ANSWER = (
    b'{"model_name":"fake","model_version":"1","outputs":[{"name":"labels","datatype":"UINT8",'
    b'"shape":[1,2,3],"parameters":{"binary_data_size":6}}]}'
)
BINARY_LABELS = b"\0\1\xff\2\xff\1"

JSON_REQUEST = (
    b'{"id":"7","inputs":[{"name":"image","shape":[1,2,3,1],"datatype":"UINT8",'
    b'"data":[0,1,2,3,4,5]},{"name":"mask","shape":[1,2,3],"datatype":"BOOL",'
    b'"data":[true,true,false,true,false,true]}],"outputs":[{"name":"probabilities",'
    b'"parameters":{"binary_data":false}},{"name":"labels","parameters":{"binary_data":false}}],'
    b'"parameters":{"priority":1,"timeout":5000000}}'
)
JSON_ANSWER = (
    b'{"model_name":"fake","model_version":"1","id":"7","outputs":[{"name":"probabilities",'
    b'"datatype":"FP32","shape":[1,2,3,3],"data":['
    b"0.75000000,0.12500000,0.12500000,0.12500000,0.75000000,0.12500000,"
    b"0.12500000,0.12500000,0.12500000,0.12500000,0.12500000,0.75000000,"
    b"0.12500000,0.12500000,0.12500000,0.12500000,0.75000000,0.12500000"
    b']},{"name":"labels","datatype":"UINT8","shape":[1,2,3],"data":[0,1,255,2,255,1]}]}'
)


def make_inputs(*, binary):
    image = tritonclient.http.InferInput("image", IMAGE.shape, "UINT8")
    mask = tritonclient.http.InferInput("mask", MASK.shape, "BOOL")
    return [
        image.set_data_from_numpy(IMAGE, binary_data=binary),
        mask.set_data_from_numpy(MASK, binary_data=binary),
    ]


def parse(header_length, body, *default_outputs):
    return parse_infer(header_length, body, ImageLimits(), default_outputs)


def read(request):
    (sample,) = request.read_samples(FAKE_MANIFEST, ImageLimits())
    return sample


def test_the_client_sends_raw_tensors_as_recorded():
    sent = tritonclient.http.InferenceServerClient.generate_request_body(make_inputs(binary=True))

    assert sent == (BINARY_REQUEST + BINARY_DATA, len(BINARY_REQUEST))


def test_raw_tensors_are_read():
    request = parse(str(len(BINARY_REQUEST)), BINARY_REQUEST + BINARY_DATA, "labels")
    sample = read(request)

    assert np.array_equal(sample.image, IMAGE[0])
    assert np.array_equal(sample.mask, MASK[0])
    assert (request.id, request.timeout_s, request.priority) == (None, None, 0)
    assert request.planes == ()


def test_raw_tensors_are_not_copied():
    body = bytearray(BINARY_REQUEST + BINARY_DATA)
    request = parse(str(len(BINARY_REQUEST)), body, "labels")

    assert np.shares_memory(read(request).image, np.frombuffer(body, np.uint8))


def test_raw_labels_are_sent():
    request = parse(str(len(BINARY_REQUEST)), BINARY_REQUEST + BINARY_DATA, "labels")
    answer = render_infer("fake", "1", request, [Segmentation(LABELS)])

    assert answer.content == BINARY_ANSWER + BINARY_LABELS
    assert answer.headers == {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(BINARY_ANSWER)),
    }


def test_the_client_reads_raw_labels():
    result = tritonclient.http.InferenceServerClient.parse_response_body(
        BINARY_ANSWER + BINARY_LABELS, header_length=len(BINARY_ANSWER)
    )

    assert np.array_equal(result.as_numpy("labels"), LABELS[None])


def test_the_client_sends_json_as_recorded():
    outputs = [
        tritonclient.http.InferRequestedOutput(name, binary_data=False)
        for name in ("probabilities", "labels")
    ]
    sent = tritonclient.http.InferenceServerClient.generate_request_body(
        make_inputs(binary=False), outputs, "7", priority=1, timeout=5_000_000
    )

    assert sent == (JSON_REQUEST, None)


def test_json_is_read():
    request = parse(None, JSON_REQUEST)
    sample = read(request)

    assert np.array_equal(sample.image, IMAGE[0])
    assert np.array_equal(sample.mask, MASK[0])
    assert (request.id, request.timeout_s, request.priority) == ("7", 5.0, 1)
    assert request.planes == ("probabilities",)


def test_json_is_sent():
    request = parse(None, JSON_REQUEST)
    answer = render_infer("fake", "1", request, [Segmentation(LABELS, PROBABILITIES)])

    assert answer.content == JSON_ANSWER
    assert answer.headers == {"Content-Type": "application/json"}


def test_the_client_reads_json():
    result = tritonclient.http.InferenceServerClient.parse_response_body(JSON_ANSWER)

    assert np.array_equal(result.as_numpy("labels"), LABELS[None])
    assert np.array_equal(result.as_numpy("probabilities"), PROBABILITIES[None])


def test_several_images_are_sent_one_after_the_other():
    request = parse(str(len(BINARY_REQUEST)), BINARY_REQUEST + BINARY_DATA, "labels")
    views = [Segmentation(LABELS), Segmentation(LABELS[:, ::-1])]
    answer = render_infer("fake", "1", request, views)

    assert answer.content.endswith(BINARY_LABELS + b"\xff\1\0\1\xff\2")
    assert b'"shape":[2,2,3],"parameters":{"binary_data_size":12}' in answer.content


def test_raw_and_json_outputs_may_be_mixed():
    body = JSON_REQUEST.replace(
        b'{"name":"probabilities","parameters":{"binary_data":false}}', b'{"name":"probabilities"}'
    ).replace(b'"priority"', b'"binary_data_output":true,"priority"')
    answer = render_infer("fake", "1", parse(None, body), [Segmentation(LABELS, PROBABILITIES)])
    text = answer.content[: int(answer.headers["Inference-Header-Content-Length"])]

    assert b'"shape":[1,2,3,3],"parameters":{"binary_data_size":72}' in text
    assert b'"data":[0,1,255,2,255,1]' in text
    assert answer.content == text + PROBABILITIES.tobytes()


def test_probabilities_that_were_not_computed_are_a_fault_of_ours():
    with pytest.raises(ValueError, match="segmentation must have probabilities"):
        render_infer("fake", "1", parse(None, JSON_REQUEST), [Segmentation(LABELS)])
