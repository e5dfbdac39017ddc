"""`GET /v1/models`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from service.engine.lifecycle.repository import ModelStatus
from service.engine.served import ServedModel
from service.web.openapi.models import LIST_MODELS
from service.web.services import AppServices


def make_router(services: AppServices) -> APIRouter:
    """Make the route that lists the models.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Models"])

    @router.get("/v1/models", **LIST_MODELS.declare())
    async def list_models() -> Response:
        repository = services.repository
        served = {(model.name, model.version): model for model in repository.models}
        described = []
        for status in repository.statuses:
            model = served.get((status.name, status.version))
            labels = repository.list_labels(status.name, status.version)
            limits = {
                "image_pixels": services.exchange.find_limits(status.name).most_pixels,
                "body_bytes": services.exchange.intake.body_bytes,
            }
            is_default = status.name == repository.default_model
            described.append(_describe(status, is_default, labels, limits, model))
        return JSONResponse({"models": described})

    return router


def _describe(
    status: ModelStatus,
    is_default: bool,
    labels: list[str],
    limits: dict[str, int],
    model: ServedModel | None,
) -> dict[str, Any]:
    description: dict[str, Any] = {
        "name": status.name,
        "version": status.version,
        "state": status.state,
        "reason": status.reason,
        "default": is_default,
        "labels": labels,
        "limits": limits,
    }
    if model is None:
        return description
    manifest = model.runtime.manifest
    return description | {
        "description": manifest.description,
        "checksum": manifest.checksum,
        "image": manifest.image.model_dump(exclude_none=True),
        "classes": [entry.model_dump() for entry in manifest.classes],
        "total_stride": manifest.total_stride,
        "receptive_radius": manifest.receptive_radius,
        "contract": {
            "padding_invariant": model.contract.holds,
            "exact_windows": model.has_exact_windows,
            "served": model.serving,
            "seams": None if model.contract.seams is None else model.contract.seams._asdict(),
            "checks": [check._asdict() for check in model.contract.checks],
        },
        "precision": {
            "used": model.precision,
            "agreement": [found._asdict() for found in model.agreement],
        },
        "training": manifest.training,
        "scores": manifest.scores,
    }
