"""Routes of Amazon SageMaker's inference containers: `GET /ping` and `POST /invocations`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.web.openapi.platforms import SAGEMAKER_INVOKE, SAGEMAKER_PING
from service.web.routes.health import answer_health
from service.web.services import AppServices
from service.wire.invocation.dialect import InvocationDialect

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


def make_router(services: AppServices) -> APIRouter:
    """Make the routes.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["SageMaker"])
    dialect = InvocationDialect(services.exchange.image_limits, "sagemaker", ATTRIBUTES)

    @router.get("/ping", **SAGEMAKER_PING.declare())
    async def check_health() -> Response:
        return answer_health(services)

    @router.post("/invocations", **SAGEMAKER_INVOKE.declare())
    async def invoke(request: Request) -> Response:
        return await services.answer(request, dialect)

    return router
