"""Stubs of tensorflow-serving-api, with TensorFlow's own tensors.

python tensorflow_client.py HOST:PORT SCENE.npz ANSWER.npz
"""

import sys

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


def make_request(arrays, model="fake", **fields):
    """Make a request of arrays by the names of inputs."""
    request = predict_pb2.PredictRequest(**fields)
    request.model_spec.name = model
    for name, array in arrays.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request


def predict(stub, arrays, **fields):
    """Return the arrays of an answer, by their names."""
    result = stub.Predict(make_request(arrays, **fields), timeout=30)
    assert (result.model_spec.name, result.model_spec.version.value) == ("fake", 1)
    return {name: tf.make_ndarray(tensor) for name, tensor in result.outputs.items()}


def describe(channel, stub):
    """Ask for the state of the model and for its signatures."""
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "fake"
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    (version,) = models.GetModelStatus(status, timeout=30).model_version_status
    assert (version.version, version.state) == (1, version.AVAILABLE)

    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=status.model_spec, metadata_field=["signature_def"]
    )
    signatures = get_model_metadata_pb2.SignatureDefMap()
    metadata = stub.GetModelMetadata(request, timeout=30).metadata
    assert metadata["signature_def"].Unpack(signatures)
    default = signatures.signature_def["serving_default"]
    assert sorted(default.inputs) == ["image", "mask"]
    assert tf.dtypes.as_dtype(default.outputs["labels"].dtype) == tf.uint8


def infer(stub, arrays):
    """Ask for segmentations in each way, and return one of the answers."""
    found = predict(stub, arrays)
    assert sorted(found) == ["labels", "probabilities"]
    floats = {"image": arrays["image"].astype(np.float32), "mask": arrays["mask"][..., None]}
    for image in (floats["image"], floats["image"].astype(np.float16)):
        again = predict(stub, {**floats, "image": image})
        assert np.array_equal(again["labels"], found["labels"])
    assert list(predict(stub, arrays, output_filter=["labels"])) == ["labels"]
    # TensorFlow writes a single number into the field of its type.
    single = predict(stub, {"image": np.zeros((1, 1, 1, 1), np.float32)})
    assert single["labels"].shape == (1, 1, 1)
    return found


def fail(function, *arguments, **options):
    """Return the error of a call that must fail."""
    try:
        function(*arguments, **options)
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call must fail; it did not")


def main(address, scene, answer):
    """Call the server, and save what it answers."""
    with np.load(scene) as loaded, grpc.insecure_channel(address) as channel:
        arrays = dict(loaded)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        describe(channel, stub)
        error = fail(predict, stub, arrays, model="other")
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
        np.savez(answer, **infer(stub, arrays))


if __name__ == "__main__":
    main(*sys.argv[1:])
