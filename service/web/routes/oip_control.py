"""The Open Inference Protocol's control of models: index, load and unload."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.listening.body_limits import BodyLimits
from service.listening.oip_facts import describe_index
from service.web.access import check_control
from service.web.body import read_body, read_declared_bytes
from service.web.openapi.oip_repository import GET_INDEX, LOAD_MODEL, UNLOAD_MODEL
from service.web.services import AppServices
from service.wire.coding import decompress, read_coding
from service.wire.dialect import Body
from service.wire.oip.control import check_body, wants_ready_only

_LIMITS = BodyLimits(1 << 16)


def make_router(services: AppServices) -> APIRouter:
    """Make the routes.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(prefix="/v2/repository", tags=["Open Inference Protocol"])

    @router.post("/index", **GET_INDEX.declare())
    async def list_versions(request: Request) -> Response:
        ready_only = wants_ready_only(await _read(request))
        return JSONResponse(describe_index(services, ready_only=ready_only))

    @router.post("/models/{name}/load", **LOAD_MODEL.declare())
    async def load(request: Request) -> Response:
        check_control(services.access_control, request.scope)
        services.gate.check_open()
        check_body(await _read(request))
        await services.repository.load(request.path_params["name"])
        return Response()

    @router.post("/models/{name}/unload", **UNLOAD_MODEL.declare())
    async def unload(request: Request) -> Response:
        check_control(services.access_control, request.scope)
        services.gate.check_open()
        check_body(await _read(request))
        await services.repository.unload(request.path_params["name"])
        return Response()

    return router


async def _read(request: Request) -> Body:
    coding = read_coding(", ".join(request.headers.getlist("content-encoding")))
    body = await read_body(request.receive, _LIMITS, read_declared_bytes(request.headers))
    return body if coding is None else decompress(body, coding, _LIMITS.body_bytes)
