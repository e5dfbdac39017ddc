"""`GET /metrics`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lacuna.errors import NotAcceptableError
from service.telemetry import CONTENT_TYPES, TEXT
from service.web.openapi.health import GET_METRICS
from service.web.services import AppServices
from service.wire.accept import choose_media_type


def make_router(services: AppServices) -> APIRouter:
    """Make the route that Prometheus scrapes.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Operation"])

    @router.get("/metrics", **GET_METRICS.declare())
    async def render_metrics(request: Request) -> Response:
        form = _choose_form(request.headers.get("accept"))
        content = services.telemetry.render(form)
        return Response(content, headers={"Content-Type": CONTENT_TYPES[form], "Vary": "Accept"})

    return router


def _choose_form(accept: str | None) -> str:
    """Return the form that is preferred; the text format if none of them is accepted."""
    try:
        return choose_media_type(accept, tuple(CONTENT_TYPES))
    except NotAcceptableError:
        return TEXT
