"""`GET /v1/progress/{request_id}`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lacuna.errors import UnknownRequestError
from service.web.access import name_client
from service.web.openapi.progress import GET_PROGRESS
from service.web.services import AppServices

_HEADERS = {"Cache-Control": "no-store"}


def make_router(services: AppServices) -> APIRouter:
    """Make the route of the progress of a request.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Segmentation"])

    # An id may have slashes.
    @router.get("/v1/progress/{request_id:path}", **GET_PROGRESS.declare())
    async def show_progress(request: Request) -> Response:
        given: str = request.path_params["request_id"]
        progress = services.exchange.progress.find(name_client(request.scope), given)
        if progress is None:
            raise UnknownRequestError(
                "the id must be the X-Request-ID of a request of the same client that is being "
                f"answered or has just been; no such request has {given:.100}"
            )
        windows = {"done": progress.done, "total": progress.total}
        return JSONResponse({"windows": windows, "ended": progress.has_ended}, headers=_HEADERS)

    return router
