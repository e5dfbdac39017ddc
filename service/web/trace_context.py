"""Which requests are traced, and W3C's trace context: from the caller, into the log, and back.

FastAPI makes the span of a request, with the `traceparent` that came as its parent. An answer has
`traceresponse`, as the draft of Trace Context Level 3 has it; Level 2 has no header for answers.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.tracing import Tracing
from service.web.request_log import QUIET_PATHS, add_log_fields

_HEADER = b"traceresponse"


def configure_telemetry(tracing: Tracing | None) -> TelemetryConfig:
    """Tell FastAPI what to trace; of its metrics and logs we have our own.

    Args:
        tracing: where spans go; None for nowhere.
    """
    return TelemetryConfig(
        # Where none of the three is on, a request costs no look at what is configured.
        tracing=tracing is not None,
        metrics=False,
        logs=False,
        tracer_provider=None if tracing is None else tracing.provider,
        operation_spans=False,
        auto_configure=False,
        exclude=_is_quiet,
    )


def is_recorded(scope: Scope) -> bool:
    """Tell whether a request has a span that will be sent."""
    traced = scope.get("fastapi.telemetry") is not None
    return traced and trace.get_current_span().is_recording()


class TraceContext:
    """Notes a request's trace for the log, and tells the caller of its span.

    Args:
        app: the application inside, inside of FastAPI's span.
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
            # Keys do not belong there; but whoever sends one must not find it in a trace.
            span.set_attribute("url.query", "REDACTED")
        trace_id = trace.format_trace_id(context.trace_id)
        add_log_fields(scope, trace_id=trace_id)
        span_id = trace.format_span_id(context.span_id)
        told = f"00-{trace_id}-{span_id}-{context.trace_flags:02x}".encode()

        async def send_with_context(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (_HEADER, told)]
            await send(message)

        await self._app(scope, receive, send_with_context)


def _is_quiet(scope: MutableMapping[str, Any]) -> bool:
    return scope["path"] in QUIET_PATHS
