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
from service.engine.admission_gate import Reservation
from service.web.problems import describe_responses
from service.web.request import HttpRequest
from service.web.services import AppServices
from service.wire.dialect import Body, RequestHead
from service.wire.native.request import NODATA_SCHEMA, estimate_request_bytes, parse_request

_PIXEL_BYTES = 32
"""Most bytes for each pixel while a picture is drawn; measured."""

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
                lambda body, reservation: _draw(
                    incoming.head, body, exchange.image_limits, reservation
                ),
            )
        incoming.add_log_fields(height=shown.size[0], width=shown.size[1])
        headers = {"Lacuna-Preview": "exact" if shown.exact else "approximate"}
        return Response(shown.content, media_type="image/png", headers=headers)

    return router


async def _draw(
    head: RequestHead, body: Body, limits: ImageLimits, reservation: Reservation
) -> Preview:
    content_type = head.headers.get("content-type")
    await reservation.hold(await asyncio.to_thread(estimate_request_bytes, content_type, body))
    request = await asyncio.to_thread(parse_request, content_type, head.query, body, limits)
    footprint = await asyncio.to_thread(request.measure, limits)
    await reservation.hold(footprint.decode_bytes + _PIXEL_BYTES * footprint.pixels)
    return await asyncio.to_thread(request.draw_preview, limits)
