"""`GET /livez` and `GET /readyz`, as orchestrators read them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from service.web.problems import COME_AGAIN
from service.web.services import AppServices


def make_router(services: AppServices) -> APIRouter:
    """Make the routes that tell how the service is.

    Args:
        services: what the application is made of.
    """
    router = APIRouter()

    @router.get(
        "/livez",
        summary="Whether the process answers and its engine makes progress",
        responses={503: {"description": "a call has been running beyond the watchdog's limit"}},
    )
    async def check_alive(response: Response) -> dict[str, Any]:
        hang_s = services.watchdog.find_hang_s()
        if hang_s is None:
            return {"status": "alive"}
        response.status_code = 503
        response.headers.update(COME_AGAIN)
        return {"status": "hangs", "running_s": round(hang_s, 1)}

    @router.get(
        "/readyz",
        summary="Whether every model that should serve does",
        responses={
            503: {
                "description": "a model is not there, and the body says which; or the server drains"
            }
        },
    )
    async def check_ready(response: Response) -> dict[str, Any]:
        ready = services.is_ready
        if not ready:
            response.status_code = 503
            response.headers.update(COME_AGAIN)
        draining = services.gate.is_closed
        return {
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

    return router
