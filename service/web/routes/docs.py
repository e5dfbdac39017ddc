"""`GET /docs`: the OpenAPI document as a page, by Swagger UI."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.web.files import find_file, read_folder, send_file

_VIEWER = Path(__file__).parents[1] / "viewer"


def make_router() -> APIRouter:
    """Make the routes. The OpenAPI document does not list them."""
    router = APIRouter()
    files = read_folder(_VIEWER) | read_folder(_VIEWER / "swagger-ui")
    page = files.pop("index.html")

    async def show_document(request: Request) -> Response:
        return send_file(request, page)

    async def show_file(request: Request) -> Response:
        return send_file(request, find_file(files, request))

    router.add_route("/docs", show_document)
    router.add_route("/docs/{name}", show_file)
    return router
