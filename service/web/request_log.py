"""The outermost layer: a request's identity and key, its one line in the log, the net under it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lacuna.errors import LacunaError, NotReadyError
from service.disconnects import ClientDisconnectedError
from service.engine.admission_gate import AdmissionGate
from service.web.access import Access, find_key_name
from service.web.headers import list_missing

log = logging.getLogger(__name__)

_HEADER = b"x-request-id"
_USABLE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
# A new id for each process and a number for each request: asking the system for randomness every
# time costs a call that lets other threads take the interpreter.
_PROCESS_ID = secrets.token_hex(10)
_NUMBERS = itertools.count()
_NOTES = "lacuna.notes"

# Asked every few seconds by orchestrators and Prometheus; a line each would bury the others.
QUIET_PATHS = {"/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics"}


def note(scope: Scope, **facts: Any) -> None:
    """Add facts to the line that will be logged for this request. Never pixels, never secrets."""
    scope.setdefault(_NOTES, {}).update(facts)


Refuse = Callable[[Scope, LacunaError], Awaitable[ASGIApp]]


class RequestLog:
    """Gives each request an id, logs one line when it is over, and answers what nobody caught.

    Whoever has no key that he needs is refused here, so that no route can forget to. And here all
    answers get what browsers are to keep to, and of a server that is going away, that they are the
    last on their connection.

    The id is the caller's `X-Request-ID` if that is at most 128 harmless characters, else a new
    one; it is sent back.

    Args:
        app: the application inside.
        access: who may ask for what.
        gate: that is closed when the server is going away.
        refuse: makes the response for an error.
        answer_unexpected: sends the response for an exception that nobody caught.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        gate: AdmissionGate,
        refuse: Refuse,
        answer_unexpected: ASGIApp,
    ) -> None:
        self._app = app
        self._access = access
        self._gate = gate
        self._refuse = refuse
        self._answer_unexpected = answer_unexpected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _choose_id(scope)
        began = time.perf_counter()
        status = 0
        sent_bytes = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                headers += [(_HEADER, request_id.encode()), *list_missing(headers)]
                if self._gate.is_closed:
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            elif message["type"] == "http.response.body":
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._answer(scope, receive, send_with_id)
        except ClientDisconnectedError:
            note(scope, outcome="client gone")
        except (Exception, asyncio.CancelledError) as error:
            instead = await self._replace(scope, error, request_id)
            if status:
                raise  # half an answer is out; all that is left is to break the connection
            await instead(scope, receive, send_with_id)
        finally:
            _write_line(
                scope,
                {
                    "request_id": request_id,
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "duration_ms": round((time.perf_counter() - began) * 1000, 2),
                    "sent_bytes": sent_bytes,
                },
            )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._access.check(scope)
        if error is not None:
            refusal = await self._refuse(scope, error)
            await refusal(scope, receive, send)
            return
        key = find_key_name(scope)
        if key is not None:
            note(scope, key=key)
        await self._app(scope, receive, send)

    async def _replace(self, scope: Scope, error: BaseException, request_id: str) -> ASGIApp:
        """Give what answers instead of an application that failed."""
        if not isinstance(error, asyncio.CancelledError):
            log.error("unexpected error", extra={"request_id": request_id}, exc_info=error)
            return self._answer_unexpected
        # Only a server whose time to drain is over cancels a request as a whole.
        note(scope, outcome="cut off")
        late = NotReadyError("the server must finish before it ends; its time was up")
        return await self._refuse(scope, late)


def _choose_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER:
            given: str = value.decode("latin-1")
            if _USABLE.fullmatch(given):
                return given
            break
    return f"{_PROCESS_ID}{next(_NUMBERS):012x}"


def _write_line(scope: Scope, facts: dict[str, Any]) -> None:
    level = logging.DEBUG if scope["path"] in QUIET_PATHS else logging.INFO
    log.log(level, "request", extra=facts | scope.get(_NOTES, {}))
