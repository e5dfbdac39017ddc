"""The Open Inference Protocol, version 2, except its control of models."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lacuna.distribution import VERSION
from service.listening.oip_facts import (
    describe_config,
    describe_model,
    describe_statistics,
    is_model_ready,
)
from service.web.openapi.inference import INFER
from service.web.openapi.oip_health import IS_MODEL_READY, IS_SERVER_LIVE, IS_SERVER_READY
from service.web.openapi.oip_metadata import (
    GET_MODEL_CONFIG,
    GET_MODEL_METADATA,
    GET_SERVER_METADATA,
)
from service.web.openapi.oip_statistics import GET_MODEL_STATISTICS, GET_STATISTICS
from service.web.problems import RETRY_LATER
from service.web.services import AppServices
from service.wire.dialect import ModelTarget
from service.wire.oip.dialect import OipDialect
from service.wire.oip.metadata import describe_server

_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"


def make_router(services: AppServices) -> APIRouter:
    """Make the routes.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Open Inference Protocol"])
    _add_health(router, services)
    _add_metadata(router, services)
    _add_infer(router, services)
    return router


def _add_health(router: APIRouter, services: AppServices) -> None:
    @router.get("/v2/health/live", **IS_SERVER_LIVE.declare())
    async def check_alive() -> Response:
        alive = services.watchdog.find_hang_s() is None
        return JSONResponse({"live": alive}, 200 if alive else 503)

    @router.get("/v2/health/ready", **IS_SERVER_READY.declare())
    async def check_ready() -> Response:
        return (
            JSONResponse({"ready": True})
            if services.is_ready
            else _make_not_ready({"ready": False})
        )

    @router.get(f"{_MODEL}/ready", **IS_MODEL_READY.declare())
    @router.get(f"{_VERSION}/ready", **IS_MODEL_READY.with_version().declare())
    async def check_model_ready(request: Request) -> Response:
        name, version = _read_path(request)
        if not is_model_ready(services, name, version):
            return _make_not_ready({"name": name, "ready": False})
        return JSONResponse({"name": name, "ready": True})


def _make_not_ready(content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, 503, dict(RETRY_LATER))


def _add_metadata(router: APIRouter, services: AppServices) -> None:
    @router.get("/v2", **GET_SERVER_METADATA.declare())
    @router.get("/v2/", include_in_schema=False)  # as the protocol's OpenAPI document spells it
    async def show_server() -> Response:
        return JSONResponse(describe_server(VERSION))

    @router.get("/v2/models/stats", **GET_STATISTICS.declare())
    async def show_all_statistics() -> Response:
        return JSONResponse(describe_statistics(services))

    @router.get(_MODEL, **GET_MODEL_METADATA.declare())
    @router.get(_VERSION, **GET_MODEL_METADATA.with_version().declare())
    async def show_model(request: Request) -> Response:
        return JSONResponse(describe_model(services, *_read_path(request)))

    @router.get(f"{_MODEL}/config", **GET_MODEL_CONFIG.declare())
    @router.get(f"{_VERSION}/config", **GET_MODEL_CONFIG.with_version().declare())
    async def show_config(request: Request) -> Response:
        return JSONResponse(describe_config(services, *_read_path(request)))

    @router.get(f"{_MODEL}/stats", **GET_MODEL_STATISTICS.declare())
    @router.get(f"{_VERSION}/stats", **GET_MODEL_STATISTICS.with_version().declare())
    async def show_statistics(request: Request) -> Response:
        return JSONResponse(describe_statistics(services, *_read_path(request)))


def _add_infer(router: APIRouter, services: AppServices) -> None:
    dialect = OipDialect(services.exchange.image_limits, services.default_outputs)

    @router.post(f"{_MODEL}/infer", **INFER.declare())
    @router.post(f"{_VERSION}/infer", **INFER.with_version().declare())
    async def infer(request: Request) -> Response:
        return await services.answer(request, dialect, ModelTarget(*_read_path(request)))


def _read_path(request: Request) -> tuple[str, str | None]:
    """Return the name and the version in the path."""
    return request.path_params["name"], request.path_params.get("version")
