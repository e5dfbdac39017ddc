"""`POST /v1/segment`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.web.openapi.segmentation import SEGMENT
from service.web.services import AppServices
from service.wire.native.dialect import NativeDialect


def make_router(services: AppServices) -> APIRouter:
    """Make the route of segmentations.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Segmentation"])
    dialect = NativeDialect(services.exchange.image_limits)

    @router.post("/v1/segment", **SEGMENT.declare())
    async def segment(request: Request) -> Response:
        return await services.answer(request, dialect)

    return router
