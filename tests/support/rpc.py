"""The listener for gRPC on a real socket, and calls of its methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np

from service.interfaces.messages import find_message, find_methods
from service.rpc.server import RpcServer
from service.web.services import AppServices
from tests.support.live import find_address, run_server
from tests.support.waiting import wait_until

OIP = "inference.GRPCInferenceService"


@contextmanager
def serve_rpc(
    services: AppServices,
    *,
    wait: bool = True,
    reflects: bool = True,
    trusted: Sequence[str] = (),
    **options: Any,
) -> Iterator[str]:
    """Run a server in a thread, and give host and port of its gRPC, by default once it is ready."""
    opening = serve_both(services, wait=wait, reflects=reflects, trusted=trusted, **options)
    with opening as (_, address):
        yield address


@contextmanager
def serve_both(
    services: AppServices,
    *,
    wait: bool = True,
    reflects: bool = True,
    trusted: Sequence[str] = (),
    **options: Any,
) -> Iterator[tuple[str, str]]:
    """Run a server in a thread, and give host and port of its HTTP and of its gRPC."""
    rpc = RpcServer(services, port=0, reflects=reflects, trusted=trusted)
    with run_server(services, other=rpc, **options) as server:
        address = find_address(server, ready=wait)
        if not wait_until(lambda: bool(rpc.ports)):
            raise TimeoutError("gRPC did not start")
        yield address, f"127.0.0.1:{rpc.ports[0]}"


@contextmanager
def connect(address: str, service: str = OIP, **options: Any) -> Iterator[Stub]:
    """Open a client of one of the services."""
    arguments = [(f"grpc.{name}", value) for name, value in options.items()]
    with grpc.insecure_channel(address, arguments) as channel:
        yield Stub(channel, service)


class Stub:
    """Client of a service, with messages of the private pool."""

    def __init__(self, channel: grpc.Channel, service: str) -> None:
        self.channel, self.service = channel, service
        self.methods = find_methods(service)

    def find(self, name: str) -> Any:
        """Return gRPC's callable of a method."""
        method = self.methods[name]
        answer = find_message(method.output_type.full_name)
        kinds = {False: "unary", True: "stream"}
        kind = f"{kinds[method.client_streaming]}_{kinds[method.server_streaming]}"
        return getattr(self.channel, kind)(
            f"/{self.service}/{name}",
            request_serializer=lambda given: (
                given if isinstance(given, bytes) else given.SerializeToString()
            ),
            response_deserializer=answer.FromString,
        )

    def make_message(self, name: str) -> Any:
        """Return the class of a method's message."""
        return find_message(self.methods[name].input_type.full_name)

    def call(self, name: str, message: Any = None, **options: Any) -> Any:
        """Call a method that has one message and one answer."""
        if message is None:
            message = self.make_message(name)()
        return self.find(name)(message, **{"timeout": 30, **options})


def fail(function: Any, *arguments: Any, **options: Any) -> grpc.RpcError:
    """Return the error of a call that must fail."""
    try:
        answer = function(*arguments, **options)
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"the call must fail; it was answered with {answer}")


def make_infer(
    image: np.ndarray[Any, Any], mask: np.ndarray[Any, Any] | None = None, **fields: Any
) -> Any:
    """Make a request with raw contents, of images uint8 (N, H, W, C) and masks bool (N, H, W)."""
    request = find_message("inference.ModelInferRequest")(**{"model_name": "fake", **fields})
    request.inputs.add(name="image", datatype="UINT8", shape=image.shape)
    request.raw_input_contents.append(image.tobytes())
    if mask is not None:
        request.inputs.add(name="mask", datatype="BOOL", shape=mask.shape)
        request.raw_input_contents.append(mask.tobytes())
    return request


def name_outputs(request: Any, *names: str) -> Any:
    """Add the names of wanted outputs to a request, and return it."""
    for name in names:
        request.outputs.add(name=name)
    return request


def read_outputs(answer: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of an answer, by their names."""
    dtypes = {"UINT8": np.uint8, "FP32": np.float32}
    return {
        output.name: np.frombuffer(raw, dtypes[output.datatype]).reshape(tuple(output.shape))
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


def read_trailers(metadata: Sequence[Any]) -> dict[str, str]:
    """Return trailing metadata, by names."""
    return {item.key: item.value for item in metadata}
