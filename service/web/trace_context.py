"""Tracing of requests, and W3C trace context in requests, log lines and responses.

FastAPI makes the span of a request; the received `traceparent` is its parent. Responses have the
header `traceresponse` of the draft of Trace Context Level 3. Level 2 defines no header for
responses.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.tracing import Tracing, write_traceresponse
from service.web.request_log import QUIET_PATHS, add_log_fields, is_quiet

_HEADER = b"traceresponse"


def configure_telemetry(
    tracing: Tracing | None, quiet_paths: AbstractSet[str] = QUIET_PATHS
) -> TelemetryConfig:
    """Return FastAPI's telemetry settings: traces only, since metrics and logs are our own.

    Args:
        tracing: destination of spans; None to trace nothing.
        quiet_paths: paths whose requests are not traced.
    """
    return TelemetryConfig(
        # If all three are off, FastAPI skips its telemetry for each request.
        tracing=tracing is not None,
        metrics=False,
        logs=False,
        tracer_provider=None if tracing is None else tracing.provider,
        operation_spans=False,
        auto_configure=False,
        exclude=lambda scope: is_quiet(scope["path"], quiet_paths),
    )


def is_recorded(scope: Scope) -> bool:
    """Return True if the span of a request will be exported."""
    traced = scope.get("fastapi.telemetry") is not None
    return traced and trace.get_current_span().is_recording()


class TraceContext:
    """Layer that adds a request's trace to its log line and its response.

    Args:
        app: application inside this layer. This layer runs inside FastAPI's span.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        span = trace.get_current_span()
        context = span.get_span_context()
        if not context.is_valid:
            await self._app(scope, receive, send)
            return
        if scope.get("query_string"):
            # A client may wrongly send its key in the query. It must not reach a trace.
            span.set_attribute("url.query", "REDACTED")
        trace_id, value = write_traceresponse(span)
        add_log_fields(scope, trace_id=trace_id)
        traceresponse = value.encode()

        async def send_with_context(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (_HEADER, traceresponse)]
            await send(message)

        await self._app(scope, receive, send_with_context)
