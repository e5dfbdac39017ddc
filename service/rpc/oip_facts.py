"""Methods of the Open Inference Protocol that tell about server and models."""

from __future__ import annotations

from lacuna.distribution import VERSION
from service.interfaces.messages import encode
from service.listening.oip_facts import (
    describe_config,
    describe_model,
    describe_statistics,
    is_model_ready,
)
from service.listening.services import Services
from service.rpc.call import Call
from service.rpc.methods import Method
from service.rpc.short_messages import read_message
from service.wire.oip.metadata import describe_server


def make_fact_methods(services: Services) -> dict[str, Method]:
    """Make the methods, by their names.

    Args:
        services: objects that every listener works with.
    """

    async def check_alive(call: Call) -> bytes:
        await read_message(call, "inference.ServerLiveRequest")
        live = services.watchdog.find_hang_s() is None
        return encode("inference.ServerLiveResponse", {"live": live})

    async def check_ready(call: Call) -> bytes:
        await read_message(call, "inference.ServerReadyRequest")
        return encode("inference.ServerReadyResponse", {"ready": services.is_ready})

    async def check_model(call: Call) -> bytes:
        name, version = await _read_target(call, "inference.ModelReadyRequest")
        ready = is_model_ready(services, name, version)
        return encode("inference.ModelReadyResponse", {"ready": ready})

    async def show_server(call: Call) -> bytes:
        await read_message(call, "inference.ServerMetadataRequest")
        return encode("inference.ServerMetadataResponse", describe_server(VERSION))

    async def show_model(call: Call) -> bytes:
        target = await _read_target(call, "inference.ModelMetadataRequest")
        return encode("inference.ModelMetadataResponse", describe_model(services, *target))

    async def show_config(call: Call) -> bytes:
        target = await _read_target(call, "inference.ModelConfigRequest")
        config = describe_config(services, *target)
        return encode("inference.ModelConfigResponse", {"config": config})

    async def show_statistics(call: Call) -> bytes:
        name, version = await _read_target(call, "inference.ModelStatisticsRequest")
        statistics = describe_statistics(services, name or None, version)
        return encode("inference.ModelStatisticsResponse", statistics)

    return {
        "ServerLive": Method(check_alive, is_open=True, is_quiet=True),
        "ServerReady": Method(check_ready, is_open=True, is_quiet=True),
        "ModelReady": Method(check_model),
        "ServerMetadata": Method(show_server),
        "ModelMetadata": Method(show_model),
        "ModelConfig": Method(show_config),
        "ModelStatistics": Method(show_statistics),
    }


async def _read_target(call: Call, message: str) -> tuple[str, str | None]:
    """Return the name of a model, and its version, None for the one that serves."""
    request = await read_message(call, message)
    return request.name, request.version or None
