"""The page at `/`, its scripts and styles, and the demo's samples.

All files are read once, when the application is made. A request names one of them or gets 404. No
path from a request reaches the file system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lacuna.raster.formats import ACCEPTED, IMAGE_SUFFIXES
from service.web.headers import PAGE_POLICY_HEADER
from service.web.services import AppServices

STATIC = Path(__file__).parents[1] / "static"
SAMPLES = Path(__file__).parents[2] / "demo" / "samples"

_MEDIA_TYPES = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".png": "image/png",
        ".svg": "image/svg+xml",
    }
)

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "no-cache",  # cached, but revalidated: a new server has a new page
        # On every file: a worker obeys the policy of its own script.
        PAGE_POLICY_HEADER[0].decode(): PAGE_POLICY_HEADER[1].decode(),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "X-Frame-Options": "DENY",
    }
)
"""Headers of the page and its files, in addition to those of all responses."""


@dataclass(frozen=True)
class _File:
    content: bytes
    media_type: str
    tag: str


def _read_folder(folder: Path) -> dict[str, _File]:
    files = {}
    for path in sorted(folder.iterdir()):
        media_type = _MEDIA_TYPES.get(path.suffix)
        if media_type is not None:
            content = path.read_bytes()
            if path.suffix == ".html":
                content = _fill_in(content)
            files[path.name] = _make_file(content, media_type)
    return files


def _make_file(content: bytes, media_type: str) -> _File:
    return _File(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _fill_in(page: bytes) -> bytes:
    """Fill in the image formats that are read."""
    accept = ",".join(["image/*", *IMAGE_SUFFIXES])
    return page.replace(b"@ACCEPT@", accept.encode()).replace(b"@FORMATS@", ACCEPTED.encode())


def _root_page(page: _File, root: str) -> _File:
    """Fill in the address of the server, to which the page's links are relative."""
    return _make_file(page.content.replace(b"@ROOT@", root.encode()), page.media_type)


def _find_root(request: Request) -> str:
    """Return the address of the server, as the page at `/` can write it.

    If a prefix is known, links are absolute, so that they also work from `/lacuna`, without a slash
    at its end. If not, they are relative: a proxy may have removed a prefix without saying so.
    """
    root_path: str = request.scope["root_path"]
    return f"{root_path}/" if root_path else ""


def make_router(services: AppServices) -> APIRouter:
    """Make the routes of the page.

    Args:
        services: objects that the routes work with.
    """
    router = APIRouter()
    static, samples = _read_folder(STATIC), _read_folder(SAMPLES)
    page = static["index.html"]
    static["index.html"] = _root_page(page, "../")
    about = {
        "samples": sorted(
            name.removesuffix(".png")
            for name in samples
            if f"{Path(name).stem}-mask.png" in samples
        ),
        "docs": services.operator_routes.docs,
        "metrics": services.operator_routes.metrics,
    }

    async def show_page(request: Request) -> Response:
        return _send(request, _root_page(page, _find_root(request)))

    async def show_about(_: Request) -> Response:
        return JSONResponse(about, headers=HEADERS)

    async def show_static(request: Request) -> Response:
        return _send(request, _find(static, request))

    async def show_sample(request: Request) -> Response:
        return _send(request, _find(samples, request))

    # Plain routes: the OpenAPI document does not list them.
    router.add_route("/", show_page)
    router.add_route("/static/about.json", show_about)
    router.add_route("/static/{name}", show_static)
    router.add_route("/samples/{name}", show_sample)
    return router


def _find(files: Mapping[str, _File], request: Request) -> _File:
    found = files.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return found


def _send(request: Request, file: _File) -> Response:
    headers = {**HEADERS, "ETag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
