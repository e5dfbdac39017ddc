"""NVIDIA's client over gRPC: all that it offers and that applies.

python triton_client.py HOST:PORT SCENE.npz ANSWER.npz
"""

import queue
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

ADMIN = {"x-api-key": "the-key-of-an-admin"}
ALL = ["labels", "probabilities", "confidence", "support"]


def make_inputs(image, mask):
    """Make the inputs of arrays, uint8 (N, H, W, C) and bool (N, H, W)."""
    tensors = {"image": (image, "UINT8"), "mask": (mask, "BOOL")}
    inputs = []
    for name, (array, datatype) in tensors.items():
        tensor = triton.InferInput(name, array.shape, datatype)
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def want(*names):
    """Name outputs."""
    return [triton.InferRequestedOutput(name) for name in names]


def fail(function, *arguments, **options):
    """Return the error of a call that must fail, as text."""
    try:
        function(*arguments, **options)
    except InferenceServerException as error:
        return str(error)
    raise AssertionError("the call must fail; it did not")


def describe(client):
    """Ask for all that describes the server and its model."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("fake")
    assert client.is_model_ready("fake", "1")
    assert client.get_server_metadata().name == "lacuna"
    metadata = client.get_model_metadata("fake", as_json=True)
    assert [output["name"] for output in metadata["outputs"]] == ALL, metadata
    assert client.get_model_config("fake").config.max_batch_size > 1
    index = client.get_model_repository_index(as_json=True)
    assert index["models"] == [{"name": "fake", "version": "1", "state": "READY"}], index


def infer(client, inputs):
    """Ask for segmentations in each way, and return one of the answers."""
    answer = client.infer("fake", inputs, request_id="seven", priority=1, timeout=30_000_000)
    assert answer.get_response().id == "seven"
    assert [output.name for output in answer.get_response().outputs] == ALL
    labels = answer.as_numpy("labels")
    for coding in (None, "gzip", "deflate"):
        alone = client.infer("fake", inputs, "1", want("labels"), compression_algorithm=coding)
        assert [output.name for output in alone.get_response().outputs] == ["labels"]
        assert np.array_equal(alone.as_numpy("labels"), labels)
    answers = queue.Queue()
    client.async_infer("fake", inputs, lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=30)
    assert error is None, error
    assert np.array_equal(result.as_numpy("labels"), labels)
    return answer


def infer_in_a_stream(client, inputs, labels):
    """Send requests in one stream, a wrong one among them."""
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number in range(3):
        client.async_stream_infer("fake", inputs, request_id=f"{number}")
    client.async_stream_infer("other", inputs)
    client.async_stream_infer("fake", inputs, request_id="3", outputs=want("labels"))
    found, errors = {}, []
    for _ in range(5):
        result, error = answers.get(timeout=30)
        if error is None:
            found[result.get_response().id] = result
        else:
            errors.append(str(error))
    client.stop_stream()
    assert sorted(found) == ["0", "1", "2", "3"], found
    assert all(np.array_equal(result.as_numpy("labels"), labels) for result in found.values())
    assert len(errors) == 1, errors
    assert "not other" in errors[0], errors


def be_wrong(client, inputs):
    """Check that errors have the statuses of Triton."""
    assert "NOT_FOUND" in fail(client.infer, "other", inputs)
    assert "NOT_FOUND" in fail(client.infer, "fake", inputs, "9")
    assert "INVALID_ARGUMENT" in fail(client.infer, "fake", inputs[1:])
    assert "INVALID_ARGUMENT" in fail(client.infer, "fake", inputs, outputs=want("depth"))
    assert "PERMISSION_DENIED" in fail(client.unload_model, "fake") or "UNAUTHENTICATED" in fail(
        client.unload_model, "fake"
    )


def control(client, inputs):
    """Unload the model and load it again."""
    client.unload_model("fake", headers=ADMIN)
    assert not client.is_model_ready("fake")
    assert "UNAVAILABLE" in fail(client.infer, "fake", inputs)
    client.load_model("fake", headers=ADMIN)
    assert client.is_model_ready("fake")


def main(address, scene, answer):
    """Call the server, and save what it answers."""
    with np.load(scene) as arrays, triton.InferenceServerClient(address) as client:
        inputs = make_inputs(arrays["image"], arrays["mask"])
        describe(client)
        result = infer(client, inputs)
        infer_in_a_stream(client, inputs, result.as_numpy("labels"))
        be_wrong(client, inputs)
        counted = client.get_inference_statistics("fake", as_json=True)["model_stats"][0]
        assert int(counted["inference_stats"]["success"]["count"]) >= 9, counted
        control(client, inputs)
        np.savez(answer, **{name: result.as_numpy(name) for name in ALL})


if __name__ == "__main__":
    main(*sys.argv[1:])
