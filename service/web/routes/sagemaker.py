"""Routes of Amazon SageMaker's inference containers: `GET /ping` and `POST /invocations`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.web.problems import describe_responses
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

    @router.get(
        "/ping",
        summary="Check that every model that should serve does, and the engine makes progress",
        responses={503: {"description": "it is not so, or the server drains"}},
    )
    async def check_health() -> Response:
        return answer_health(services)

    @router.post(
        "/invocations",
        summary="Segment an image as in /v1/segment, or `instances` as in TensorFlow Serving",
        response_class=Response,
        responses=describe_responses(400, 401, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504),
    )
    async def invoke(request: Request) -> Response:
        return await services.answer(request, dialect)

    return router
