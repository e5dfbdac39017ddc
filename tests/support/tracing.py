"""Traces that are kept in memory."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler

from service.tracing import Tracing


class KeptTracing(Tracing):
    """Keeps all spans that have ended.

    Args:
        sampler: decides which are made.
    """

    def __init__(self, sampler: Sampler = DEFAULT_ON) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        super().__init__(provider)

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        """All of them, as they ended."""
        return self._kept.get_finished_spans()

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The last of each name."""
        return {span.name: span for span in self.ended}
