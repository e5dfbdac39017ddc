"""NVIDIA's client for asyncio over gRPC.

python triton_aio_client.py HOST:PORT SCENE.npz ANSWER.npz
"""

import asyncio
import sys

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio
from tritonclient.utils import InferenceServerException


def make_inputs(image, mask):
    """Make the inputs of arrays, uint8 (N, H, W, C) and bool (N, H, W)."""
    inputs = [
        triton.InferInput("image", image.shape, "UINT8"),
        triton.InferInput("mask", mask.shape, "BOOL"),
    ]
    for tensor, array in zip(inputs, (image, mask), strict=True):
        tensor.set_data_from_numpy(array)
    return inputs


async def infer_in_a_stream(client, inputs):
    """Send requests in one stream, a wrong one in the middle, and return labels and errors."""

    async def send():
        for model in ("fake", "other", "fake"):
            yield {"model_name": model, "inputs": inputs}

    labels, errors = [], []
    async for result, error in client.stream_infer(send()):
        if error is None:
            labels.append(result.as_numpy("labels"))
        else:
            errors.append(str(error))
    return labels, errors


async def fail(call):
    """Return the error of a call that must fail, as text."""
    try:
        await call
    except InferenceServerException as error:
        return str(error)
    raise AssertionError("the call must fail; it did not")


async def call(address, inputs):
    """Call the server, and return an answer."""
    async with tritonclient.grpc.aio.InferenceServerClient(address) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("fake", "1")
        assert (await client.get_server_metadata()).name == "lacuna"
        assert (await client.get_model_metadata("fake")).inputs[0].name == "image"
        assert (await client.get_model_config("fake")).config.max_batch_size > 1
        results = await asyncio.gather(*(client.infer("fake", inputs) for _ in range(4)))
        expected = results[0].as_numpy("labels")
        assert all(np.array_equal(result.as_numpy("labels"), expected) for result in results)
        labels, errors = await infer_in_a_stream(client, inputs)
        assert len(labels) == 2
        assert all(np.array_equal(found, expected) for found in labels)
        assert len(errors) == 1, errors
        assert "not other" in errors[0], errors
        assert "NOT_FOUND" in await fail(client.infer("other", inputs))
        return results[0]


def main(address, scene, answer):
    """Call the server, and save what it answers."""
    with np.load(scene) as arrays:
        result = asyncio.run(call(address, make_inputs(arrays["image"], arrays["mask"])))
    names = [output.name for output in result.get_response().outputs]
    np.savez(answer, **{name: result.as_numpy(name) for name in names})


if __name__ == "__main__":
    main(*sys.argv[1:])
