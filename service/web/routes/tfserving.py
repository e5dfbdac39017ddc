"""TensorFlow Serving's REST API, under `/v1/models/{name}`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lacuna.errors import UnknownVersionError
from service.engine.lifecycle.repository import ModelStatus
from service.web.protocol_errors import ERRORS
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
    router = APIRouter(tags=["TensorFlow Serving"], responses=dict(ERRORS))
    _add_predict(router, services)
    _add_metadata(router, services)
    return router


def _add_predict(router: APIRouter, services: AppServices) -> None:
    dialect = TfServingDialect(services.exchange.image_limits)

    @router.post(f"{_MODEL}:predict", summary="Segment images", response_class=Response)
    @router.post(f"{_VERSION}:predict", include_in_schema=False)
    @router.post(f"{_LABEL}:predict", include_in_schema=False)
    async def predict(request: Request, name: str) -> Response:
        return await services.answer(request, dialect, _read_target(request, name))


def _add_metadata(router: APIRouter, services: AppServices) -> None:
    @router.get(f"{_MODEL}/metadata", summary="Describe a model's signatures")
    @router.get(f"{_VERSION}/metadata", include_in_schema=False)
    @router.get(f"{_LABEL}/metadata", include_in_schema=False)
    async def show_metadata(request: Request, name: str) -> dict[str, Any]:
        model = services.repository.find(*_read_target(request, name))
        return describe_metadata(name, model.version, model.runtime.manifest)

    @router.get(_MODEL, summary="Return the state of each version of a model")
    @router.get(_VERSION, include_in_schema=False)
    @router.get(_LABEL, include_in_schema=False)
    async def show_status(request: Request, name: str) -> dict[str, Any]:
        statuses = _choose_statuses(services, name, *_read_target(request, name)[1:])
        return describe_status([(s.version, str(s.state), s.reason) for s in statuses])


def _read_target(request: Request, name: str) -> ModelTarget:
    """Return the name, version and label in the path."""
    return ModelTarget(name, request.path_params.get("version"), request.path_params.get("label"))


def _choose_statuses(
    services: AppServices, name: str, version: str | None, label: str | None
) -> list[ModelStatus]:
    services.repository.list_versions(name)  # raises UnknownModelError
    if label is not None:
        version = services.repository.find(name, None, label).version
    known = [status for status in services.repository.statuses if status.name == name]
    if version is None:
        chosen = [status for status in known if status.version]
        if not chosen:
            raise UnknownVersionError(f"a model must have a version; {name} has none")
        return chosen
    chosen = [status for status in known if status.version == version]
    if not chosen:
        raise UnknownVersionError(
            f"version of {name} must be one of "
            f"{', '.join(status.version for status in known) or 'none'}; "
            f"it is {version}"
        )
    return chosen
