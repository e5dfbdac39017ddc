"""`GET /v1/models`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.engine.lifecycle.repository import ModelStatus
from service.engine.served import ServedModel
from service.web.services import AppServices


def make_router(services: AppServices) -> APIRouter:
    """Make the route that lists the models.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter()

    @router.get(
        "/v1/models", summary="List the models and versions, with their classes and contracts"
    )
    async def list_models() -> dict[str, Any]:
        repository = services.repository
        served = {(model.name, model.version): model for model in repository.models}
        described = []
        for status in repository.statuses:
            model = served.get((status.name, status.version))
            labels = repository.list_labels(status.name, status.version)
            limits = {
                "image_pixels": services.exchange.find_limits(status.name).most_pixels,
                "body_bytes": services.exchange.body_bytes,
            }
            described.append(_describe(status, labels, limits, model))
        return {"models": described}

    return router


def _describe(
    status: ModelStatus, labels: list[str], limits: dict[str, int], model: ServedModel | None
) -> dict[str, Any]:
    description: dict[str, Any] = {
        "name": status.name,
        "version": status.version,
        "state": status.state,
        "reason": status.reason,
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
            "checks": [check._asdict() for check in model.contract.checks],
        },
        "training": manifest.training,
        "scores": manifest.scores,
    }
