"""Files that browsers are sent. All are read once, when the application is made.

A request names one of them or gets 404. No path from a request reaches the file system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.web.headers import PAGE_POLICY_HEADER

_MEDIA_TYPES = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
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
"""Headers of pages and their files, in addition to those of all responses."""


@dataclass(frozen=True)
class StaticFile:
    """File in memory.

    Attributes:
        content: its bytes.
        media_type: value of `Content-Type`.
        tag: value of `ETag`.
    """

    content: bytes
    media_type: str
    tag: str

    @classmethod
    def make(cls, content: bytes, media_type: str) -> StaticFile:
        """Make a file of its contents."""
        return cls(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def read_folder(folder: Path) -> dict[str, StaticFile]:
    """Read the files of a folder that browsers understand, by their names."""
    return {
        path.name: StaticFile.make(path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for path in sorted(folder.iterdir())
        if path.suffix in _MEDIA_TYPES
    }


def find_file(files: Mapping[str, StaticFile], request: Request) -> StaticFile:
    """Return the file that the path of a request names.

    Raises:
        HTTPException: 404, if there is none.
    """
    found = files.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return found


def send_file(request: Request, file: StaticFile) -> Response:
    """Return the response with a file, or 304 if the browser has it."""
    headers = {**HEADERS, "ETag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
