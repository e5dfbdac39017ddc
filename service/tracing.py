"""Attributes and child spans of each request, for OpenTelemetry.

1. The web framework creates the span of a request, which is current while the request is handled.
   This module adds attributes to it, and one child span per stage.
2. Attributes are sizes, names and outcomes. They never contain pixels, keys or error messages.
3. The duration of a stage is known only at its end, so spans are created afterwards with their
   start and end times. A failed request has no stages, as in the metrics.
4. The SDK is an optional dependency, and only `start_tracing` imports it. It reads OpenTelemetry's
   own variables: the endpoint, the sampler and the name of the service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace

from lacuna.distribution import VERSION, describe_extra
from lacuna.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

FLUSH_S = 2.0
"""Seconds to send the last spans at shutdown, so that a collector that hangs does not delay it."""

_PREFIX = "lacuna."

Facts = Mapping[str, str | int]
"""Attributes of a span."""


def write_traceresponse(span: trace.Span) -> tuple[str, str]:
    """Return the id of a span's trace, and the value of the header `traceresponse`."""
    context = span.get_span_context()
    trace_id, span_id = (
        trace.format_trace_id(context.trace_id),
        trace.format_span_id(context.span_id),
    )
    return trace_id, f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"


class Tracing:
    """Traces of a server.

    Args:
        provider: Provider of spans.

    Attributes:
        provider: Provider of spans.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("lacuna", VERSION)

    @contextmanager
    def begin(self, name: str, received: Mapping[str, str], facts: Facts) -> Iterator[trace.Span]:
        """Begin the span of a request that no framework makes, as the current one.

        Args:
            name: Name of the span.
            received: Headers of the request, names in lower case; the span that `traceparent` names
                is the parent.
            facts: Attributes.
        """
        with self._tracer.start_as_current_span(
            name,
            propagate.extract(received),
            trace.SpanKind.SERVER,
            facts,
            # Messages of exceptions may tell what a client has sent.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    def describe(
        self,
        facts: Facts,
        starts_s: Mapping[str, float],
        timings_s: Mapping[str, float],
    ) -> None:
        """Add attributes and stages to the current span, if it is recorded.

        Args:
            facts: Attributes, without the prefix `lacuna.` of their names.
            starts_s: Start time of each stage, by `time.perf_counter`.
            timings_s: Seconds spent in each stage.
        """
        span = trace.get_current_span()
        if not span.is_recording():
            return
        span.set_attributes({_PREFIX + name: fact for name, fact in facts.items()})
        epoch_ns = time.time_ns() - time.perf_counter_ns()
        for stage, seconds in timings_s.items():
            start_ns = epoch_ns + round(starts_s[stage] * 1e9)
            child = self._tracer.start_span(stage, start_time=start_ns)
            child.end(start_ns + round(seconds * 1e9))

    def find_exemplar(self) -> dict[str, str] | None:
        """Return the ids of the current trace and span, as an exemplar.

        It is None if the span is not exported. The names are those of OpenTelemetry's
        specification for Prometheus.
        """
        span = trace.get_current_span()
        context = span.get_span_context()
        if not (span.is_recording() and context.trace_flags.sampled):
            return None
        return {
            "trace_id": trace.format_trace_id(context.trace_id),
            "span_id": trace.format_span_id(context.span_id),
        }

    def close(self, within_s: float = FLUSH_S) -> None:
        """Send the remaining spans, and create no more.

        Args:
            within_s: Seconds after which the rest is dropped.
        """
        # The SDK waits for half a minute, on a thread that Python would join at its exit.
        closing = threading.Thread(target=self.provider.shutdown, daemon=True)
        closing.start()
        closing.join(within_s)


def start_tracing() -> Tracing:
    """Start to send spans by OTLP over HTTP, as OpenTelemetry's variables say.

    Raises:
        ConfigurationError: if the optional dependency is not installed, or a variable is out of
            range.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            "traces need OpenTelemetry's SDK where an OTLP endpoint is named; it is not installed. "
            f"It comes with the extra `otel`: {describe_extra('otel')}. OTEL_SDK_DISABLED=true "
            "turns traces off"
        ) from error
    named = {"service.name": "lacuna", "service.version": VERSION}
    try:
        resource = Resource.create({**named, **OTELResourceDetector().detect().attributes})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise ConfigurationError(f"OpenTelemetry's variables must be in range: {error}") from error
    return Tracing(provider)
