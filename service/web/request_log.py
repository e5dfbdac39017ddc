"""A request's identity, its one line in the log, and the net under it."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
_USABLE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_NOTES = "lacuna.notes"

# Asked every few seconds by orchestrators; a line each would bury the others.
_QUIET_PATHS = {"/livez", "/readyz"}


def note(scope: Scope, **facts: Any) -> None:
    """Add facts to the line that will be logged for this request. Never pixels, never secrets."""
    scope.setdefault(_NOTES, {}).update(facts)


class RequestLog:
    """Gives each request an id, logs one line when it is over, and answers what nobody caught.

    The id is the caller's `X-Request-ID` if that is at most 128 harmless characters, else a new
    one; it is sent back.

    Args:
        app: the application inside.
        answer_unexpected: sends the response for an exception that nobody caught.
    """

    def __init__(self, app: ASGIApp, answer_unexpected: ASGIApp) -> None:
        self._app = app
        self._answer_unexpected = answer_unexpected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _USABLE.fullmatch(given) else uuid.uuid4().hex
        began = time.perf_counter()
        status = 0
        sent_bytes = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            elif message["type"] == "http.response.body":
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            note(scope, outcome="client gone")
        except Exception:
            log.exception("unexpected error", extra={"request_id": request_id})
            if status:
                raise  # half an answer is out; all that is left is to break the connection
            await self._answer_unexpected(scope, receive, send_with_id)
        finally:
            level = logging.DEBUG if scope["path"] in _QUIET_PATHS else logging.INFO
            facts = {
                "request_id": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "duration_ms": round((time.perf_counter() - began) * 1000, 2),
                "sent_bytes": sent_bytes,
                **scope.get(_NOTES, {}),
            }
            log.log(level, "request", extra=facts)
