"""Routes of Vertex AI's containers for predictions. Their paths are settings of the platform."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.web.openapi.platforms import VERTEX_PING, VERTEX_PREDICT
from service.web.routes.health import answer_health
from service.web.services import AppServices
from service.wire.invocation.dialect import InvocationDialect


def make_router(services: AppServices) -> APIRouter:
    """Make the routes that the platform asks for.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Vertex AI"])
    routes = services.vertex_routes
    dialect = InvocationDialect(services.exchange.image_limits, "vertex")

    async def check_health() -> Response:
        return answer_health(services)

    async def predict(request: Request) -> Response:
        return await services.answer(request, dialect)

    if routes.health is not None:
        router.get(routes.health, **VERTEX_PING.declare())(check_health)
    if routes.predict is not None:
        router.post(routes.predict, **VERTEX_PREDICT.declare())(predict)
    return router
