"""`POST /v1/preview`: pictures of images in formats that browsers cannot show."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lacuna.raster.formats import list_body_types
from lacuna.raster.limits import ImageLimits
from lacuna.raster.preview import Preview
from service.web.problems import describe_responses
from service.web.request import HttpRequest
from service.web.services import AppServices
from service.wire.dialect import Body, RequestHead
from service.wire.native.request import NODATA_SCHEMA, parse_request

_FILE = {"type": "string", "format": "binary"}
_OPENAPI: dict[str, Any] = {
    "parameters": [{"in": "query", "name": "nodata", "required": False, "schema": NODATA_SCHEMA}],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": _FILE, "mask": _FILE, "nodata": NODATA_SCHEMA},
                }
            },
            **{media_type: {"schema": _FILE} for media_type in list_body_types()},
        },
    },
}


def make_router(services: AppServices) -> APIRouter:
    """Make the route of previews.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter()

    @router.post(
        "/v1/preview",
        summary="Convert an image of any supported format to PNG, for viewing",
        response_class=Response,
        responses={
            200: {"description": "invalid pixels are transparent", "content": {"image/png": {}}},
            **describe_responses(400, 401, 408, 413, 415, 422, 429, 500, 503),
        },
        openapi_extra=_OPENAPI,
    )
    async def preview(request: Request) -> Response:
        exchange = services.exchange
        incoming = HttpRequest(request, services.body_limits)
        with exchange.telemetry.measure("preview"):
            shown = await exchange.with_body(
                incoming,
                lambda body: asyncio.to_thread(_draw, incoming.head, body, exchange.image_limits),
            )
        incoming.add_log_fields(height=shown.size[0], width=shown.size[1])
        headers = {"Lacuna-Preview": "exact" if shown.exact else "approximate"}
        return Response(shown.content, media_type="image/png", headers=headers)

    return router


def _draw(head: RequestHead, body: Body, limits: ImageLimits) -> Preview:
    request = parse_request(head.headers.get("content-type"), head.query, body, limits)
    return request.draw_preview(limits)
