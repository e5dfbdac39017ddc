"""`GET /livez` and `GET /readyz`, for orchestrators."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from service.web.problems import RETRY_LATER
from service.web.services import AppServices


def make_router(services: AppServices) -> APIRouter:
    """Make the routes of the health checks.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter()

    @router.get(
        "/livez",
        summary="Check that the process answers and its engine makes progress",
        responses={503: {"description": "a call of a model exceeds the watchdog's limit"}},
    )
    async def check_alive(response: Response) -> dict[str, Any]:
        hang_s = services.watchdog.find_hang_s()
        if hang_s is None:
            return {"status": "alive"}
        response.status_code = 503
        response.headers.update(RETRY_LATER)
        return {"status": "hangs", "running_s": round(hang_s, 1)}

    @router.get(
        "/readyz",
        summary="Check that every model that should serve does",
        responses={
            503: {"description": "a model is not ready (the body names it), or the server drains"}
        },
    )
    async def check_ready() -> Response:
        return answer_readiness(services)

    return router


def answer_readiness(services: AppServices) -> JSONResponse:
    """Return the answer of `/readyz`.

    Args:
        services: objects that the routes work with.
    """
    ready, draining = services.is_ready, services.gate.is_closed
    content = {
        "status": "ready" if ready else "draining" if draining else "not ready",
        "models": [
            {
                "name": status.name,
                "version": status.version,
                "state": status.state,
                "reason": status.reason,
                "warmed": round(status.warmed, 3),
            }
            for status in services.repository.statuses
        ],
    }
    return JSONResponse(content) if ready else JSONResponse(content, 503, RETRY_LATER)


def answer_health(services: AppServices) -> JSONResponse:
    """Return the answer for a platform with a single check: ready, and its engine makes progress.

    Args:
        services: objects that the routes work with.
    """
    hang_s = services.watchdog.find_hang_s()
    if hang_s is None:
        return answer_readiness(services)
    return JSONResponse({"status": "hangs", "running_s": round(hang_s, 1)}, 503, RETRY_LATER)
