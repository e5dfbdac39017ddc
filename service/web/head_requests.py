"""HEAD requests, answered as GET without the body (RFC 9110, section 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.web.request_log import share_log_fields


class HeadRequests:
    """Layer that answers HEAD on every path that has GET. FastAPI alone would refuse it.

    Args:
        app: application inside this layer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # A copy, because the server must still see a HEAD request, whose response has no body.
        asked = {**share_log_fields(scope), "method": "GET"}
        await self._app(asked, receive, send_without_body)
