"""Outermost layer of the application: request ids, keys, the request log, unexpected errors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lacuna.errors import LacunaError, NotReadyError
from lacuna.out_of_memory import translate_shortage
from service.disconnects import ClientDisconnectedError
from service.engine.admission_gate import AdmissionGate
from service.listening.access import AccessControl
from service.listening.request_ids import choose_id
from service.web.access import check_access, find_address, find_key_name
from service.web.headers import list_missing

log = logging.getLogger(__name__)

_HEADER = b"x-request-id"
_MAX_PATH = 1000
_LOG_FIELDS = "lacuna.log_fields"

# Orchestrators and Prometheus request these every few seconds. Their lines would bury the others.
QUIET_PATHS = frozenset(
    {"/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/metrics"}
)
# Clients request the progress of a large image as often.
_QUIET_FOLDER = "/v1/progress/"


def add_log_fields(scope: Scope, **fields: Any) -> None:
    """Add fields to the log line of this request. They must hold neither pixels nor secrets."""
    scope.setdefault(_LOG_FIELDS, {}).update(fields)


def is_quiet(path: str, quiet_paths: AbstractSet[str]) -> bool:
    """Return True if requests of a path are neither traced nor logged at info level."""
    return path in quiet_paths or path.startswith(_QUIET_FOLDER)


def share_log_fields(scope: Scope) -> Scope:
    """Return a copy of a scope whose log fields belong to the same line."""
    scope.setdefault(_LOG_FIELDS, {})
    return dict(scope)


RenderError = Callable[[Scope, LacunaError], Awaitable[ASGIApp]]


class RequestLog:
    """Layer that gives each request an id, checks its key, and logs one line for it.

    It checks keys for all routes, so that no route can forget it. It answers unexpected exceptions
    and lack of memory, adds the security headers to all responses, and adds `Connection: close`
    while the server drains.

    The id is the client's `X-Request-ID` if that has at most 128 harmless characters, else a new
    one. The response returns it.

    Args:
        app: application inside this layer.
        access_control: check of the keys.
        gate: admission gate, closed while the server drains.
        render_error: function that makes the response for a `LacunaError`.
        answer_unexpected: ASGI application that answers unexpected exceptions.
        quiet_paths: paths whose requests are logged at debug level.
        health_path: path of another health check that needs no key; None for none.
    """

    def __init__(
        self,
        app: ASGIApp,
        access_control: AccessControl,
        gate: AdmissionGate,
        render_error: RenderError,
        answer_unexpected: ASGIApp,
        quiet_paths: AbstractSet[str] = QUIET_PATHS,
        health_path: str | None = None,
    ) -> None:
        self._app = app
        self._access_control = access_control
        self._gate = gate
        self._render_error = render_error
        self._answer_unexpected = answer_unexpected
        self._quiet_paths = quiet_paths
        self._health_path = health_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _read_id(scope)
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
            add_log_fields(scope, outcome="client gone")
        except (Exception, asyncio.CancelledError) as error:
            instead = await self._replace(scope, error, request_id)
            if status:
                raise  # part of the response is sent, so only breaking the connection is left
            await instead(scope, receive, send_with_id)
        finally:
            self._write_line(
                scope,
                {
                    "request_id": request_id,
                    "method": scope["method"],
                    "path": scope["path"][:_MAX_PATH],
                    "client": find_address(scope),
                    "status": status,
                    "duration_ms": round((time.perf_counter() - began) * 1000, 2),
                    "sent_bytes": sent_bytes,
                },
            )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = check_access(self._access_control, scope, self._health_path)
        if error is not None:
            refusal = await self._render_error(scope, error)
            await refusal(scope, receive, send)
            return
        key = find_key_name(scope)
        if key is not None:
            add_log_fields(scope, key=key)
        await self._app(scope, receive, send)

    def _write_line(self, scope: Scope, facts: dict[str, Any]) -> None:
        level = logging.DEBUG if is_quiet(scope["path"], self._quiet_paths) else logging.INFO
        log.log(level, "request", extra=facts | scope.get(_LOG_FIELDS, {}))

    async def _replace(self, scope: Scope, error: BaseException, request_id: str) -> ASGIApp:
        """Return an application that answers in place of one that failed."""
        shortage = translate_shortage(error, "answer the request")
        if shortage is not None:
            log.warning("out of memory", extra={"request_id": request_id, "reason": repr(error)})
            return await self._render_error(scope, shortage)
        if not isinstance(error, asyncio.CancelledError):
            log.error("unexpected error", extra={"request_id": request_id}, exc_info=error)
            return self._answer_unexpected
        # Whole requests are cancelled only when the drain period of the server is over.
        add_log_fields(scope, outcome="cut off")
        late = NotReadyError("the server must answer before it shuts down; its drain time is over")
        return await self._render_error(scope, late)


def _read_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER:
            return choose_id(value.decode("latin-1"))
    return choose_id(None)
