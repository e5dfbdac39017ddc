"""Tells OpenTelemetry what it took to answer a request.

1. The span of a request is the web framework's, and current while the request is answered. Here it
   gets what is known of the request, and a child for each stage.
2. Attributes are sizes, names and outcomes: never pixels, never keys, never the words of an error.
3. How long a stage took is known once it is over, so spans are made afterwards, with the times at
   which they began and ended. A request that failed has no stages, as in the metrics.
4. The SDK is an extra and imported by `start_tracing` alone. It reads OpenTelemetry's own variables
   itself: where spans go, which are kept, what the service is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from opentelemetry import trace

from lacuna.distribution import VERSION, describe_extra
from lacuna.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

FLUSH_S = 2.0
"""For how long the last spans are sent at the end; a collector that hangs holds nothing up."""

_PREFIX = "lacuna."


class Tracing:
    """The traces of a server.

    Args:
        provider: makes spans, and passes them on.

    Attributes:
        provider: the same.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("lacuna", VERSION)

    def describe(
        self,
        facts: Mapping[str, str | int],
        starts_s: Mapping[str, float],
        timings_s: Mapping[str, float],
    ) -> None:
        """Add what is known of the current request to its span, if that is recorded.

        Args:
            facts: become attributes, with `lacuna.` before their names.
            starts_s: when each stage began, by `time.perf_counter`.
            timings_s: seconds spent in each stage.
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

    def close(self, within_s: float = FLUSH_S) -> None:
        """Send what was not sent yet, and make no more.

        Args:
            within_s: after which the rest is lost.
        """
        # The SDK waits for half a minute, and on a thread that Python would wait for at its end.
        closing = threading.Thread(target=self.provider.shutdown, daemon=True)
        closing.start()
        closing.join(within_s)


def start_tracing() -> Tracing:
    """Begin to send spans by OTLP over HTTP, as OpenTelemetry's variables say.

    Raises:
        ConfigurationError: if the extra is not installed, or a variable is out of its range.
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
