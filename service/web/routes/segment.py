"""`POST /v1/segment`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lacuna.outputs import MEDIA_TYPES, describe
from lacuna.raster.formats import ACCEPTED, list_body_types
from service.web.problems import describe_responses
from service.web.services import AppServices
from service.wire.native.dialect import NativeDialect
from service.wire.native.parameters import (
    ALPHA_SCHEMA,
    ALSO_SCHEMA,
    BANDS_SCHEMA,
    NODATA_SCHEMA,
    STRETCH_SCHEMA,
)

_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {
                "type": "string",
                "format": "binary",
                "description": ACCEPTED,
            },
            "mask": {"type": "string", "format": "binary", "description": "non-zero = valid"},
            "model": {"type": "string"},
            "version": {"type": "string"},
            "nodata": NODATA_SCHEMA,
            "timeout_s": {"type": "number", "exclusiveMinimum": 0},
            "stretch": STRETCH_SCHEMA,
            "bands": BANDS_SCHEMA,
            "alpha": ALPHA_SCHEMA,
            "also": ALSO_SCHEMA,
        },
    }
}
_JSON = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"description": "nested arrays, null = missing; or {b64, format}"},
            "mask": {"description": "nested arrays; or {b64, format}; or COCO RLE {size, counts}"},
            "model": {"type": "string"},
            "version": {"type": "string"},
            "nodata": NODATA_SCHEMA,
            "timeout_s": {"type": "number", "exclusiveMinimum": 0},
            "stretch": STRETCH_SCHEMA,
            "bands": BANDS_SCHEMA,
            "alpha": ALPHA_SCHEMA,
            "also": ALSO_SCHEMA,
        },
    }
}
_PARAMETERS = [
    {"in": "query", "name": name, "required": False, "schema": schema}
    for name, schema in (
        ("model", {"type": "string"}),
        ("version", {"type": "string"}),
        ("nodata", NODATA_SCHEMA),
        ("timeout_s", {"type": "number"}),
        ("stretch", STRETCH_SCHEMA),
        ("bands", BANDS_SCHEMA),
        ("alpha", ALPHA_SCHEMA),
        ("also", ALSO_SCHEMA),
    )
]
_OPENAPI: dict[str, Any] = {
    "parameters": _PARAMETERS,
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _FORM,
            "application/json": _JSON,
            **dict.fromkeys(list_body_types(), _IMAGE),
        },
    },
}


def make_router(services: AppServices) -> APIRouter:
    """Make the route of segmentations.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter()
    dialect = NativeDialect(services.exchange.image_limits)

    @router.post(
        "/v1/segment",
        summary="Segment an image with missing pixels",
        response_class=Response,
        responses={
            200: {
                "description": f"by Accept; the default is JSON: {describe()}",
                "content": {media_type: {} for media_type in MEDIA_TYPES},
            },
            **describe_responses(400, 401, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504),
        },
        openapi_extra=_OPENAPI,
    )
    async def segment(request: Request) -> Response:
        return await services.answer(request, dialect)

    return router
