"""Methods of the Open Inference Protocol that control models: index, load and unload."""

from __future__ import annotations

from service.interfaces.messages import encode
from service.listening.oip_facts import describe_index
from service.listening.services import Services
from service.rpc.call import Call
from service.rpc.methods import Method
from service.rpc.short_messages import read_message
from service.wire.oip.control import check_parameters


def make_control_methods(services: Services) -> dict[str, Method]:
    """Make the methods, by their names.

    Args:
        services: objects that every listener works with.
    """

    async def list_versions(call: Call) -> bytes:
        request = await read_message(call, "inference.RepositoryIndexRequest")
        models = describe_index(services, ready_only=request.ready)
        return encode("inference.RepositoryIndexResponse", {"models": models})

    async def load(call: Call) -> bytes:
        name = await _read_name(services, call, "inference.RepositoryModelLoadRequest")
        await services.repository.load(name)
        return encode("inference.RepositoryModelLoadResponse", {})

    async def unload(call: Call) -> bytes:
        name = await _read_name(services, call, "inference.RepositoryModelUnloadRequest")
        await services.repository.unload(name)
        return encode("inference.RepositoryModelUnloadResponse", {})

    return {
        "RepositoryIndex": Method(list_versions),
        "RepositoryModelLoad": Method(load),
        "RepositoryModelUnload": Method(unload),
    }


async def _read_name(services: Services, call: Call, message: str) -> str:
    """Check that a call may control models, and return the name of the model."""
    services.access_control.check_control(call.key, call.principal)
    services.gate.check_open()
    request = await read_message(call, message)
    check_parameters(request.parameters)
    name: str = request.model_name
    return name
