"""`GET /v1/models`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.engine.repository import ModelStatus, ServedModel
from service.web.parts import Parts


def make_router(parts: Parts) -> APIRouter:
    """Make the route that lists the models.

    Args:
        parts: what the application is made of.
    """
    router = APIRouter()

    @router.get("/v1/models", summary="List the models, their classes and what they promise")
    async def list_models() -> dict[str, Any]:
        served = {model.name: model for model in parts.repository.models}
        return {
            "models": [
                _describe(status, served.get(status.name)) for status in parts.repository.statuses
            ]
        }

    return router


def _describe(status: ModelStatus, model: ServedModel | None) -> dict[str, Any]:
    description: dict[str, Any] = {
        "name": status.name,
        "version": status.version,
        "state": status.state,
        "reason": status.reason,
    }
    if model is None:
        return description
    manifest = model.runtime.manifest
    return description | {
        "description": manifest.description,
        "image": manifest.image.model_dump(),
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
