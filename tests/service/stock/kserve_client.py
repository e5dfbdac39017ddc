"""KServe's client over gRPC.

python kserve_client.py HOST:PORT SCENE.npz ANSWER.npz
"""

import asyncio
import sys

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput


def make_request(arrays, *, raw, outputs=None, model="fake"):
    """Make a request with raw or typed contents, of uint8 (N, H, W, C) and bool (N, H, W)."""
    inputs = []
    for name, datatype in (("image", "UINT8"), ("mask", "BOOL")):
        tensor = InferInput(name, list(arrays[name].shape), datatype)
        tensor.set_data_from_numpy(arrays[name], binary_data=raw)
        inputs.append(tensor)
    return InferRequest(model, inputs, request_id="seven", request_outputs=outputs)


def read(answer):
    """Return the arrays of an answer, by their names."""
    return {output.name: output.as_numpy() for output in answer.outputs}


async def fail(call):
    """Return the error of a call that must fail."""
    try:
        await call
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call must fail; it did not")


async def call(address, arrays):
    """Call the server, and return the arrays of an answer."""
    async with InferenceGRPCClient(address) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("fake")
        answer = await client.infer(make_request(arrays, raw=True))
        assert (answer.id, answer.model_name, answer.model_version) == ("seven", "fake", "1")
        typed = read(await client.infer(make_request(arrays, raw=False)))
        found = read(answer)
        assert all(np.array_equal(typed[name], found[name]) for name in found)
        wanted = [RequestedOutput("labels")]
        alone = read(await client.infer(make_request(arrays, raw=True, outputs=wanted)))
        assert list(alone) == ["labels"]
        assert np.array_equal(alone["labels"], found["labels"])
        error = await fail(client.infer(make_request(arrays, raw=True, model="other")))
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
        return found


def main(address, scene, answer):
    """Call the server, and save what it answers."""
    with np.load(scene) as arrays:
        np.savez(answer, **asyncio.run(call(address, dict(arrays))))


if __name__ == "__main__":
    main(*sys.argv[1:])
