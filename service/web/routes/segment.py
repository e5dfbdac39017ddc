"""`POST /v1/segment`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.pipeline import Answered
from service.web.access import name_client
from service.web.body import read_body, read_declared_length
from service.web.disconnects import cancel_on_disconnect
from service.web.problems import describe_responses
from service.web.request_log import note
from service.web.services import AppServices
from service.wire.accept import choose_media_type
from service.wire.native.answer import MEDIA_TYPES
from service.wire.native.request import parse_request

_QUICK_BYTES = 256 * 1024
"""Up to here reading a form takes less time than handing it to a thread and back."""

_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {
                "type": "string",
                "format": "binary",
                "description": "PNG, JPEG, WebP, TIFF, NPY",
            },
            "mask": {"type": "string", "format": "binary", "description": "non-zero = valid"},
            "model": {"type": "string"},
            "version": {"type": "string"},
            "nodata": {"type": "number", "description": "value of missing pixels"},
            "timeout_s": {"type": "number", "exclusiveMinimum": 0},
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
            "nodata": {"type": "number"},
            "timeout_s": {"type": "number", "exclusiveMinimum": 0},
        },
    }
}
_PARAMETERS = [
    {"in": "query", "name": name, "required": False, "schema": {"type": kind}}
    for name, kind in (
        ("model", "string"),
        ("version", "string"),
        ("nodata", "number"),
        ("timeout_s", "number"),
    )
]
_OPENAPI: dict[str, Any] = {
    "parameters": _PARAMETERS,
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _FORM,
            "application/json": _JSON,
            "image/*": _IMAGE,
            "application/x-npy": _IMAGE,
        },
    },
}


def make_router(services: AppServices) -> APIRouter:
    """Make the route that segments.

    Args:
        services: what the application is made of.
    """
    router = APIRouter()

    @router.post(
        "/v1/segment",
        summary="Segment an image with missing pixels",
        response_class=Response,
        responses={
            200: {
                "description": "by Accept: areas and COCO RLE as JSON (the default), palette PNG, "
                "labels as NPY, or labels and probabilities as NPZ",
                "content": {media_type: {} for media_type in MEDIA_TYPES},
            },
            **describe_responses(400, 401, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504),
        },
        openapi_extra=_OPENAPI,
    )
    async def segment(request: Request) -> Response:
        with services.telemetry.measure("native") as meter:
            answered, media_type = await answer(request)
            meter.model, meter.version = answered.model.name, answered.model.version
            meter.stages_s, meter.starts_s = answered.timings_s, answered.starts_s
            meter.size = answered.size
            meter.pixels = {
                "image": answered.size[0] * answered.size[1],
                "valid": answered.valid_pixels,
                "computed": answered.computed_pixels,
            }
        milliseconds = {stage: seconds * 1000 for stage, seconds in answered.timings_s.items()}
        note(
            request.scope,
            model=answered.model.name,
            version=answered.model.version,
            height=answered.size[0],
            width=answered.size[1],
            valid_pixels=answered.valid_pixels,
            computed_pixels=answered.computed_pixels,
            **{f"{stage}_ms": round(value, 2) for stage, value in milliseconds.items()},
        )
        timing = ", ".join(f"{stage};dur={value:.3f}" for stage, value in milliseconds.items())
        headers = {
            "Server-Timing": timing,
            "Lacuna-Computed-Pixels": str(answered.computed_pixels),
        }
        return Response(answered.content, media_type=media_type, headers=headers)

    async def answer(request: Request) -> tuple[Answered, str]:
        media_type = choose_media_type(request.headers.get("accept"), MEDIA_TYPES)
        client = name_client(request.scope)
        with services.gate.hold(read_declared_length(request), client=client) as reservation:
            body = await read_body(request, services.body_limits, reservation)
            note(request.scope, received_bytes=len(body))
            query = request.query_params if request.scope["query_string"] else {}
            parse = partial(parse_request, request.headers.get("content-type"), query)
            async with cancel_on_disconnect(request.receive):
                quick = len(body) <= _QUICK_BYTES
                asked = parse(body) if quick else await asyncio.to_thread(parse, body)
                return await services.pipeline.answer(asked, media_type), media_type

    return router
