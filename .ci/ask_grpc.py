# ruff: noqa: INP001, S101, T201 (a script of .ci/exercise-image)
"""Asks a server over gRPC, and holds its labels to those over HTTP.

    python .ci/ask_grpc.py URL HOST:PORT IMAGE MASK

`URL` is that of the server's HTTP. Image and mask are PNG.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
import httpx2
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lacuna.client import Client
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from service.interfaces.messages import find_message

MODEL = "groundcover"


def main(url: str, address: str, image_path: str, mask_path: str) -> None:
    """Check that the model serves over gRPC, and that the labels are equal."""
    image = decode_image(Path(image_path).read_bytes(), ImageLimits()).values[None]
    mask = decode_mask(Path(mask_path).read_bytes(), ImageLimits())[None]
    request = find_message("inference.ModelInferRequest")(model_name=MODEL)
    for name, datatype, array in (("image", "UINT8", image), ("mask", "BOOL", mask)):
        request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    request.outputs.add(name="labels")
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        status = health.Check(health_pb2.HealthCheckRequest(service=MODEL), timeout=30).status
        assert status == health_pb2.HealthCheckResponse.SERVING, status
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=find_message("inference.ModelInferResponse").FromString,
        )
        answer = infer(request, timeout=60)
    labels = np.frombuffer(answer.raw_output_contents[0], np.uint8).reshape(mask.shape[1:])
    with Client(httpx2.URL(url)) as client:
        expected = client.segment(image_path, mask_path, model=MODEL).labels
    assert np.array_equal(labels, expected), np.count_nonzero(labels != expected)
    print(f"gRPC serves {MODEL}, with equal labels")


if __name__ == "__main__":
    main(*sys.argv[1:])
