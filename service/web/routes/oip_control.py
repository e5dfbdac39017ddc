"""The Open Inference Protocol's control of models: index, load and unload."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.web.body import BodyLimits, read_body, read_declared_bytes
from service.web.protocol_errors import ERRORS
from service.web.services import AppServices
from service.wire.coding import decompress, read_coding
from service.wire.dialect import Body
from service.wire.oip.control import check_control, describe_index, wants_ready_only

_LIMITS = BodyLimits(1 << 16)


def make_router(services: AppServices) -> APIRouter:
    """Make the routes.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(
        prefix="/v2/repository", tags=["Open Inference Protocol"], responses=dict(ERRORS)
    )

    @router.post("/index", summary="List all versions of all models, with their states")
    async def list_versions(request: Request) -> list[dict[str, Any]]:
        ready_only = wants_ready_only(await _read(request))
        versions = [
            (status.name, status.version, str(status.state), status.reason)
            for status in services.repository.statuses
        ]
        return describe_index(versions, ready_only=ready_only)

    @router.post("/models/{name}/load", summary="Load a model in its present state on disk")
    async def load(request: Request, name: str) -> Response:
        services.access_control.check_control(request.scope)
        services.gate.check_open()
        check_control(await _read(request))
        await services.repository.load(name)
        return Response()

    @router.post("/models/{name}/unload", summary="Finish a model's work and stop serving it")
    async def unload(request: Request, name: str) -> Response:
        services.access_control.check_control(request.scope)
        services.gate.check_open()
        check_control(await _read(request))
        await services.repository.unload(name)
        return Response()

    return router


async def _read(request: Request) -> Body:
    coding = read_coding(", ".join(request.headers.getlist("content-encoding")))
    body = await read_body(request.receive, _LIMITS, read_declared_bytes(request.headers))
    return body if coding is None else decompress(body, coding, _LIMITS.body_bytes)
