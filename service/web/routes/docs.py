"""`GET /docs`: the OpenAPI document as a page."""

from __future__ import annotations

import base64
import hashlib
import re

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse

from service.web.headers import POLICY

_CDN = "https://cdn.jsdelivr.net"
_ICON = "data:,"


def make_router() -> APIRouter:
    """Make the route. The OpenAPI document does not list it."""
    router = APIRouter()
    page = get_swagger_ui_html(
        # Relative, because a proxy may show the server under a prefix.
        openapi_url="openapi.json",
        title="lacuna",
        swagger_favicon_url=_ICON,
    )
    page.headers[POLICY.decode()] = _make_policy(bytes(page.body).decode())

    @router.get("/docs", include_in_schema=False)
    async def show_document() -> HTMLResponse:
        return page

    return router


def _make_policy(text: str) -> str:
    """Return the content security policy of a page that loads Swagger UI from its CDN.

    Inline scripts are allowed by their digests.
    """
    inline = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    ]
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_CDN} {' '.join(inline)}",
            f"style-src {_CDN} 'unsafe-inline'",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
