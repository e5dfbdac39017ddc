"""`grpc.reflection`: the interface files, for tools that call methods without them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio

from lacuna.errors import MalformedRequestError
from service.interfaces.messages import DecodeError, load_pool
from service.rpc.call import Call
from service.rpc.methods import Method, Service
from service.wire.messages import check_length

NAMES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""Names of the service, whose messages are alike."""


def make_services(names: Sequence[str]) -> list[Service]:
    """Make the services.

    Args:
        names: names of all other services.
    """
    servicer = aio.ReflectionServicer([*names, *NAMES], load_pool())

    async def describe(call: Call) -> None:
        async for answer in servicer.ServerReflectionInfo(_read_requests(call), None):
            await call.context.write(answer.SerializeToString())

    methods = {"ServerReflectionInfo": Method(describe, is_stream=True)}
    return [Service(name, methods) for name in NAMES]


async def _read_requests(call: Call) -> AsyncIterator[Any]:
    while True:
        message = await call.read_next()
        if message is None:
            return
        yield _decode(message)


def _decode(message: bytes) -> Any:
    check_length("ServerReflectionRequest", message)
    try:
        return reflection_pb2.ServerReflectionRequest.FromString(message)
    except DecodeError as error:
        raise MalformedRequestError(
            f"the message must be a ServerReflectionRequest; {error}"
        ) from None
