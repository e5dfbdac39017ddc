"""`GET /livez` and `GET /readyz`, for orchestrators."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from service.web.openapi.health import CHECK_LIVENESS, CHECK_READINESS
from service.web.problems import RETRY_LATER
from service.web.services import AppServices


def make_router(services: AppServices) -> APIRouter:
    """Make the routes of the health checks.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Operation"])

    @router.get("/livez", **CHECK_LIVENESS.declare())
    async def check_alive() -> Response:
        hang_s = services.watchdog.find_hang_s()
        return JSONResponse({"status": "alive"}) if hang_s is None else _answer_hang(hang_s)

    @router.get("/readyz", **CHECK_READINESS.declare())
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
    return answer_readiness(services) if hang_s is None else _answer_hang(hang_s)


def _answer_hang(hang_s: float) -> JSONResponse:
    return JSONResponse({"status": "hangs", "running_s": round(hang_s, 1)}, 503, RETRY_LATER)
