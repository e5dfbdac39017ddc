"""`POST /v1/preview`: pictures of images in formats that browsers cannot show."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lacuna.errors import NotReadyError, RequestError
from lacuna.out_of_memory import check_address_space
from lacuna.raster.preview import Preview, estimate_drawing_bytes
from service.engine.lifecycle.repository import ModelRepository
from service.engine.reservation import Reservation
from service.exchange import Exchange
from service.runtime.manifest import Manifest
from service.web.openapi.segmentation import PREVIEW
from service.web.request import HttpRequest
from service.web.responses import make_response
from service.web.services import AppServices
from service.wire.batch import estimate_sample_bytes
from service.wire.dialect import Body, ModelTarget, Reply, RequestHead
from service.wire.native.request import estimate_request_bytes, parse_request

Value = TypeVar("Value")


def make_router(services: AppServices) -> APIRouter:
    """Make the route of previews.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter(tags=["Segmentation"])

    @router.post("/v1/preview", **PREVIEW.declare())
    async def preview(request: Request) -> Response:
        exchange = services.exchange
        incoming = HttpRequest(request, services.body_limits)

        with exchange.telemetry.measure("preview"):
            shown, release = await exchange.intake.admit(
                incoming,
                lambda body, reservation: _draw(incoming.head, body, exchange, reservation),
            )
        incoming.add_log_fields(height=shown.size[0], width=shown.size[1])
        headers = {
            "Lacuna-Preview": "exact" if shown.exact else "approximate",
            "Lacuna-Preview-Range": "model" if shown.in_model_range else "image",
        }
        headers["Content-Type"] = "image/png"
        return make_response(Reply(headers, shown.content, release=release))

    return router


class _Drawn(NamedTuple):
    """Preview, and the function that gives its memory back once it was sent."""

    preview: Preview
    release: Callable[[], None]


async def _draw(
    head: RequestHead, body: Body, exchange: Exchange, reservation: Reservation
) -> _Drawn:
    content_type, limits = head.headers.get("content-type"), exchange.image_limits

    async def run(work: Callable[..., Value], *arguments: Any) -> Value:
        return await exchange.intake.threads.run(reservation.client, partial(work, *arguments))

    await reservation.hold_for_parsing(await run(estimate_request_bytes, content_type, body))
    request = await run(parse_request, content_type, head.query, body, limits)
    manifest = _find_manifest(exchange.repository, request.target)
    footprint = await run(request.measure, limits)
    sample_bytes = 0
    if manifest is not None and request.stretch != "none":
        sample_bytes = estimate_sample_bytes(manifest.image, footprint.pixels, request.stretch)
    needed_bytes = sample_bytes + max(
        footprint.decode_bytes, estimate_drawing_bytes(footprint.pixels)
    )
    await reservation.hold_for_images(needed_bytes)
    check_address_space(needed_bytes)
    preview = await run(request.draw_preview, limits, manifest)
    return _Drawn(preview, reservation.keep(len(preview.content)))


def _find_manifest(repository: ModelRepository, target: ModelTarget) -> Manifest | None:
    """Return the manifest of the model; None if it is not ready, or not named without a default.

    Raises:
        RequestError: if there is no model of the requested name and version.
    """
    try:
        return repository.find(*target).runtime.manifest
    except NotReadyError:
        return None
    except RequestError:
        if target.name is not None:
            raise
        return None
