"""TensorFlow Serving's REST API, under `/v1/models/{name}`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.engine.lifecycle.choosing import choose_statuses
from service.web.openapi.prediction import PREDICT
from service.web.openapi.signatures import GET_SIGNATURES, GET_STATUS
from service.web.services import AppServices
from service.wire.dialect import ModelTarget
from service.wire.tfserving.dialect import TfServingDialect
from service.wire.tfserving.metadata import describe_metadata, describe_status

_MODEL = "/v1/models/{name}"
_VERSION = "/v1/models/{name}/versions/{version}"
_LABEL = "/v1/models/{name}/labels/{label}"


def make_router(services: AppServices) -> APIRouter:
    """Make the routes.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["TensorFlow Serving"])
    _add_predict(router, services)
    _add_metadata(router, services)
    return router


def _add_predict(router: APIRouter, services: AppServices) -> None:
    dialect = TfServingDialect(services.exchange.image_limits)

    @router.post(f"{_MODEL}:predict", **PREDICT.declare())
    @router.post(f"{_VERSION}:predict", **PREDICT.with_version().declare())
    @router.post(f"{_LABEL}:predict", **PREDICT.with_label().declare())
    async def predict(request: Request) -> Response:
        return await services.answer(request, dialect, ModelTarget(*_read_path(request)))


def _add_metadata(router: APIRouter, services: AppServices) -> None:
    @router.get(f"{_MODEL}/metadata", **GET_SIGNATURES.declare())
    @router.get(f"{_VERSION}/metadata", **GET_SIGNATURES.with_version().declare())
    @router.get(f"{_LABEL}/metadata", **GET_SIGNATURES.with_label().declare())
    async def show_metadata(request: Request) -> Response:
        model = services.repository.find(*_read_path(request))
        return JSONResponse(describe_metadata(model.name, model.version, model.runtime.manifest))

    @router.get(_MODEL, **GET_STATUS.declare())
    @router.get(_VERSION, **GET_STATUS.with_version().declare())
    @router.get(_LABEL, **GET_STATUS.with_label().declare())
    async def show_status(request: Request) -> Response:
        name, version, label = _read_path(request)
        statuses = choose_statuses(services.repository, name, version, label)
        described = [(s.version, str(s.state), s.reason) for s in statuses]
        return JSONResponse(describe_status(name, described))


def _read_path(request: Request) -> tuple[str, str | None, str | None]:
    """Return the name, version and label in the path."""
    given = request.path_params
    return given["name"], given.get("version"), given.get("label")
