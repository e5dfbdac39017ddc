"""The Open Inference Protocol, version 2, except its control of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lacuna.distribution import VERSION
from lacuna.errors import NotReadyError
from service.engine.served import ServedModel
from service.web.problems import RETRY_LATER
from service.web.protocol_errors import ERRORS
from service.web.services import AppServices
from service.wire.dialect import ModelTarget
from service.wire.oip.dialect import OipDialect
from service.wire.oip.metadata import describe_config, describe_model, describe_server
from service.wire.oip.statistics import describe_statistics

_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"


def make_router(services: AppServices) -> APIRouter:
    """Make the routes.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Open Inference Protocol"], responses=dict(ERRORS))
    _add_health(router, services)
    _add_metadata(router, services)
    _add_infer(router, services)
    return router


def _add_health(router: APIRouter, services: AppServices) -> None:
    @router.get("/v2/health/live", summary="Check that the engine makes progress")
    async def check_alive() -> Response:
        alive = services.watchdog.find_hang_s() is None
        return JSONResponse({"live": alive}, 200 if alive else 503)

    @router.get("/v2/health/ready", summary="Check that every model that should serve does")
    async def check_ready() -> Response:
        return (
            JSONResponse({"ready": True})
            if services.is_ready
            else _make_not_ready({"ready": False})
        )

    @router.get(f"{_MODEL}/ready", summary="Check that a model is ready")
    @router.get(f"{_VERSION}/ready", include_in_schema=False)
    async def check_model_ready(request: Request, name: str) -> Response:
        try:
            services.gate.check_open()
            _find(services, request, name)
        except NotReadyError:
            return _make_not_ready({"name": name, "ready": False})
        return JSONResponse({"name": name, "ready": True})


def _make_not_ready(content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, 503, dict(RETRY_LATER))


def _add_metadata(router: APIRouter, services: AppServices) -> None:
    def count_pixels(name: str) -> int:
        return services.exchange.find_limits(name).most_pixels

    @router.get("/v2", summary="Describe the server")
    @router.get("/v2/", include_in_schema=False)  # as the protocol's OpenAPI document spells it
    async def show_server() -> dict[str, Any]:
        return describe_server(VERSION)

    @router.get("/v2/models/stats", summary="Return the statistics of all models")
    async def show_all_statistics() -> dict[str, Any]:
        return _describe_all(services, [(m.name, m.version) for m in services.repository.models])

    @router.get(_MODEL, summary="Describe a model's inputs and outputs")
    @router.get(_VERSION, include_in_schema=False)
    async def show_model(request: Request, name: str) -> dict[str, Any]:
        manifest = _find(services, request, name).runtime.manifest
        versions = services.repository.list_versions(name)
        return describe_model(name, versions, manifest, count_pixels(name))

    @router.get(f"{_MODEL}/config", summary="Return a model's configuration, for load testers")
    @router.get(f"{_VERSION}/config", include_in_schema=False)
    async def show_config(request: Request, name: str) -> dict[str, Any]:
        manifest = _find(services, request, name).runtime.manifest
        return describe_config(name, manifest, count_pixels(name))

    @router.get(f"{_MODEL}/stats", summary="Return the statistics of a model")
    @router.get(f"{_VERSION}/stats", include_in_schema=False)
    async def show_statistics(request: Request, name: str) -> dict[str, Any]:
        if "version" in request.path_params:
            versions = [_find(services, request, name).version]
        else:
            versions = services.repository.list_versions(name)
        return _describe_all(services, [(name, version) for version in versions])


def _add_infer(router: APIRouter, services: AppServices) -> None:
    dialect = OipDialect(services.exchange.image_limits)

    @router.post(f"{_MODEL}/infer", summary="Segment images", response_class=Response)
    @router.post(f"{_VERSION}/infer", include_in_schema=False)
    async def infer(request: Request, name: str) -> Response:
        target = ModelTarget(name, request.path_params.get("version"))
        return await services.answer(request, dialect, target)


def _find(services: AppServices, request: Request, name: str) -> ServedModel:
    return services.repository.find(name, request.path_params.get("version"))


def _describe_all(services: AppServices, models: Sequence[tuple[str, str]]) -> dict[str, Any]:
    find = services.exchange.statistics.find
    read = services.exchange.pipeline.segmenter.dispatcher.counters.read
    return {
        "model_stats": [
            describe_statistics(name, version, find(name, version), read(name, version))
            for name, version in models
        ]
    }
