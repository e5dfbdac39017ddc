"""TensorFlow Serving's REST API, under `/v1/models/{name}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lacuna.errors import UnknownVersionError
from lacuna.sample import Segmentation
from service.engine.lifecycle.repository import ModelStatus
from service.engine.served import ServedModel
from service.web.exchange import Content, Dialect, answer_batch
from service.web.protocol_errors import ERRORS
from service.web.services import AppServices
from service.wire.tfserving.answer import render_predict
from service.wire.tfserving.metadata import describe_metadata, describe_status
from service.wire.tfserving.request import PredictRequest, parse_predict

_QUICK_BYTES = 64 * 1024
"""Up to here JSON is read in less time than handing it to a thread and back takes."""

_MODEL = "/v1/models/{name}"
_VERSION = "/v1/models/{name}/versions/{version}"
_LABEL = "/v1/models/{name}/labels/{label}"


def make_router(services: AppServices) -> APIRouter:
    """Make the routes.

    Args:
        services: what the application is made of.
    """
    router = APIRouter(tags=["TensorFlow Serving"], responses=dict(ERRORS))
    _add_predict(router, services)
    _add_metadata(router, services)
    return router


def _add_predict(router: APIRouter, services: AppServices) -> None:
    limits = services.pipeline.image_limits
    dialect = Dialect("tfserving", lambda body: parse_predict(body, limits), _render, _QUICK_BYTES)

    @router.post(f"{_MODEL}:predict", summary="Segment images", response_class=Response)
    @router.post(f"{_VERSION}:predict", include_in_schema=False)
    @router.post(f"{_LABEL}:predict", include_in_schema=False)
    async def predict(request: Request, name: str) -> Response:
        return await answer_batch(services, request, dialect, *_read_target(request, name))


def _render(
    _: ServedModel, asked: PredictRequest, segmentations: Sequence[Segmentation]
) -> Content:
    return {"Content-Type": "application/json"}, render_predict(asked, segmentations)


def _add_metadata(router: APIRouter, services: AppServices) -> None:
    @router.get(f"{_MODEL}/metadata", summary="Describe a model's signatures")
    @router.get(f"{_VERSION}/metadata", include_in_schema=False)
    @router.get(f"{_LABEL}/metadata", include_in_schema=False)
    async def show_metadata(request: Request, name: str) -> dict[str, Any]:
        model = services.repository.find(*_read_target(request, name))
        return describe_metadata(name, model.version, model.runtime.manifest)

    @router.get(_MODEL, summary="What has become of each version of a model")
    @router.get(_VERSION, include_in_schema=False)
    @router.get(_LABEL, include_in_schema=False)
    async def show_status(request: Request, name: str) -> dict[str, Any]:
        statuses = _choose_statuses(services, *_read_target(request, name))
        return describe_status([(s.version, str(s.state), s.reason) for s in statuses])


def _read_target(request: Request, name: str) -> tuple[str, str | None, str | None]:
    """Give the name, version and label that the path has."""
    return name, request.path_params.get("version"), request.path_params.get("label")


def _choose_statuses(
    services: AppServices, name: str, version: str | None, label: str | None
) -> list[ModelStatus]:
    services.repository.list_versions(name)  # says so where there is no such model
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
            f"version must be one that is known; {name} has "
            f"{', '.join(status.version for status in known) or 'none'}, not {version}"
        )
    return chosen
