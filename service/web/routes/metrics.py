"""`GET /metrics`."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from service.web.services import AppServices


def make_router(services: AppServices) -> APIRouter:
    """Make the route that Prometheus scrapes.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter()

    @router.get("/metrics", summary="Metrics in Prometheus' text format", response_class=Response)
    async def render_metrics() -> Response:
        return Response(services.telemetry.render(), media_type=CONTENT_TYPE_LATEST)

    return router
