"""The page at `/`, its scripts and styles, and the samples of the demo's models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lacuna.raster.formats import ACCEPTED, IMAGE_SUFFIXES
from service.web.files import HEADERS, StaticFile, find_file, read_folder, send_file
from service.web.services import AppServices

STATIC = Path(__file__).parents[1] / "static"
SAMPLES = Path(__file__).parents[2] / "demo" / "samples"


def _fill_in(page: bytes) -> bytes:
    """Fill in the image formats that are read."""
    accept = ",".join(["image/*", *IMAGE_SUFFIXES])
    return page.replace(b"@ACCEPT@", accept.encode()).replace(b"@FORMATS@", ACCEPTED.encode())


def _root_page(page: StaticFile, root: str) -> StaticFile:
    """Fill in the address of the server, to which the page's links are relative."""
    return StaticFile.make(page.content.replace(b"@ROOT@", root.encode()), page.media_type)


def _find_root(request: Request) -> str:
    """Return the address of the server, as the page at `/` can write it.

    If a prefix is known, links are absolute, so that they also work from `/lacuna`, without a slash
    at its end. If not, they are relative: a proxy may have removed a prefix without saying so.
    """
    root_path: str = request.scope["root_path"]
    return f"{root_path}/" if root_path else ""


def _list_samples(files: Mapping[str, StaticFile]) -> list[str]:
    """List the samples among the files of a folder: images that have a mask."""
    stems = sorted(Path(name).stem for name in files)
    return [stem for stem in stems if f"{stem}-mask.png" in files]


def make_router(services: AppServices) -> APIRouter:
    """Make the routes of the page.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter()
    static = read_folder(STATIC)
    samples = {path.name: read_folder(path) for path in sorted(SAMPLES.glob("[!.]*"))}
    page = static["index.html"]
    page = StaticFile.make(_fill_in(page.content), page.media_type)
    static["index.html"] = _root_page(page, "../")
    about = {
        # Those of the first model are shown for models that have none.
        "samples": {model: _list_samples(files) for model, files in samples.items()},
        "docs": services.operator_routes.docs,
        "metrics": services.operator_routes.metrics,
    }

    async def show_page(request: Request) -> Response:
        return send_file(request, _root_page(page, _find_root(request)))

    async def show_about(_: Request) -> Response:
        return JSONResponse(about, headers=HEADERS)

    async def show_static(request: Request) -> Response:
        return send_file(request, find_file(static, request))

    async def show_sample(request: Request) -> Response:
        files = samples.get(request.path_params["model"], {})
        return send_file(request, find_file(files, request))

    # Plain routes: the OpenAPI document does not list them.
    router.add_route("/", show_page)
    router.add_route("/static/about.json", show_about)
    router.add_route("/static/{name}", show_static)
    router.add_route("/samples/{model}/{name}", show_sample)
    return router
