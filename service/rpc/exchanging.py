"""Calls that the exchange answers, as it answers requests over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import grpc

from service.listening.services import Services
from service.rpc.call import Call
from service.wire.coding import choose_coding
from service.wire.dialect import Dialect, ParsedRequest

_COMPRESSIONS: Mapping[str, grpc.Compression] = MappingProxyType(
    {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
)


async def answer_by_exchange(
    services: Services, call: Call, dialect: Dialect[ParsedRequest]
) -> bytes:
    """Answer a call for segmentations.

    Args:
        services: objects that every listener works with.
        call: call whose message was not read yet.
        dialect: dialect of its protocol. It parses and renders encoded messages.

    Raises:
        LacunaError: if the call is refused or wrong, or the model fails.
    """
    reply = await services.exchange.answer(call, dialect)
    call.trailers.update((name.lower(), value) for name, value in reply.headers.items())
    release = reply.release
    if release is not None:
        call.context.add_done_callback(lambda _: release())
    await _compress(call, len(reply.content))
    return reply.content


async def _compress(call: Call, content_bytes: int) -> None:
    """Let gRPC compress the answer, if the client asks for it as over HTTP, and it is large."""
    coding = choose_coding(call.metadata.get("accept-encoding"), content_bytes)
    if coding is not None:
        call.context.set_compression(_COMPRESSIONS[coding])
        # gRPC obeys only what the initial metadata tells.
        await call.context.send_initial_metadata(())
