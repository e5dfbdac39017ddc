"""Metrics of the server for Prometheus, and the facts of each request for its trace.

Names and labels are documented in docs/operations.md, which a test compares with them. Labels have
few values: the name of a model counts only if the repository knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.openmetrics import exposition as openmetrics

from lacuna import errors
from lacuna.out_of_memory import is_out_of_memory
from service.core.statistics import STAGES, BatchRecord, PixelCounts
from service.disconnects import ClientDisconnectedError
from service.engine.admission_gate import AdmissionGate
from service.engine.dispatcher import Dispatcher
from service.engine.lifecycle.repository import ModelRepository
from service.request_record import RequestRecord
from service.snapshot import Snapshot
from service.tracing import Tracing

# The creation time of each counter would double the number of series, and is rarely used.
disable_created_metrics()  # type: ignore[no-untyped-call]

TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text"
CONTENT_TYPES: Mapping[str, str] = {
    TEXT: CONTENT_TYPE_LATEST,
    OPENMETRICS: openmetrics.CONTENT_TYPE_LATEST,
}
"""Content type of each form of the metrics."""

_RENDERERS: Mapping[str, Callable[[CollectorRegistry], bytes]] = {
    TEXT: generate_latest,
    OPENMETRICS: openmetrics.generate_latest,
}

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WINDOWS = (1, 2, 4, 8, 16, 32, 64)
_PIXELS = tuple(4**power for power in range(4, 12))

_OUTCOMES: Mapping[type[Exception], str] = {
    errors.RequestError: "invalid",
    errors.OverloadedError: "refused",
    errors.DeadlineExceededError: "deadline",
    errors.NotReadyError: "unavailable",
    errors.OutOfMemoryError: "out_of_memory",
    ClientDisconnectedError: "gone",
}
KINDS = PixelCounts._fields
OUTCOMES = ("ok", *_OUTCOMES.values(), "failed")


class Telemetry:
    """Metrics of a server.

    Args:
        dispatcher: Dispatcher whose queue and calls are measured.
        repository: Repository of the models.
        gate: Gate that counts the pending requests and their memory.
        tracing: Traces of the server; None if it has none.

    Attributes:
        tracing: Traces of the server; None if it has none.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        repository: ModelRepository,
        gate: AdmissionGate,
        tracing: Tracing | None = None,
    ) -> None:
        self.tracing = tracing
        self._registry = registry = CollectorRegistry()
        for process in (ProcessCollector, PlatformCollector, GCCollector):
            process(registry=registry)
        self._requests = Counter(
            "lacuna_requests",
            "Finished requests.",
            ("model", "protocol", "outcome"),
            registry=registry,
        )
        self._found: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._request_s = Histogram(
            "lacuna_request_seconds",
            "Time from a request's headers to its answer.",
            ("model", "protocol"),
            unit="seconds",
            buckets=_SECONDS,
            registry=registry,
        )
        stage_s = Histogram(
            "lacuna_stage_seconds",
            "Time that successful requests spent in a stage.",
            ("stage",),
            unit="seconds",
            buckets=_SECONDS,
            registry=registry,
        )
        pixels = Counter(
            "lacuna_pixels",
            "Pixels of segmented images: all, valid and computed ones.",
            ("kind",),
            registry=registry,
        )
        self._warnings = Counter(
            "lacuna_warnings",
            "Answers with a warning.",
            ("model", "code"),
            registry=registry,
        )
        # The lookup of a metric by its labels takes longer than counting, so it is done once.
        self._stage_s = {stage: stage_s.labels(stage) for stage in STAGES}
        self._pixels = {kind: pixels.labels(kind) for kind in KINDS}
        self._refused = Counter(
            "lacuna_refused", "Requests refused for overload.", ("reason",), registry=registry
        )
        self._batch_windows = Histogram(
            "lacuna_batch_windows", "Windows in a model call.", buckets=_WINDOWS, registry=registry
        )
        self._batch_pixels = Histogram(
            "lacuna_batch_pixels",
            "Pixels computed by a model call, padding included.",
            buckets=_PIXELS,
            registry=registry,
        )
        registry.register(Snapshot(dispatcher, repository, gate))
        dispatcher.on_batch = self._note_batch

    def render(self, form: str = TEXT) -> bytes:
        """Render all metrics.

        Args:
            form: `TEXT`, Prometheus' text format, or `OPENMETRICS`, which has exemplars and units.
        """
        return _RENDERERS[form](self._registry)

    def measure(self, protocol: str) -> RequestRecord:
        """Return a record that measures one request while it is used as a context.

        Args:
            protocol: `native`, `oip`, `tfserving` or `preview`.
        """
        return RequestRecord(protocol, self._count)

    def _count(self, record: RequestRecord, seconds: float, error: BaseException | None) -> None:
        requests, duration = self._find(record.model, record.protocol, find_outcome(error))
        requests.inc()
        duration.observe(seconds, None if self.tracing is None else self.tracing.find_exemplar())
        if isinstance(error, errors.OverloadedError):
            self._refused.labels(error.reason).inc()
        if error is None:
            self._count_success(record)
        if self.tracing is not None:
            facts = record.describe_for_trace() | _describe_end(error)
            self.tracing.describe(facts, record.starts_s, {} if error else record.stages_s)

    def _count_success(self, record: RequestRecord) -> None:
        for stage, spent_s in record.stages_s.items():
            self._stage_s[stage].observe(spent_s)
        if record.pixels is not None:
            for kind, count in zip(KINDS, record.pixels, strict=True):
                self._pixels[kind].inc(count)
        for warning in record.warnings:
            self._warnings.labels(record.model, warning.code).inc()

    def _find(self, model: str, protocol: str, outcome: str) -> tuple[Counter, Histogram]:
        key = (model, protocol, outcome)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = (
                self._requests.labels(*key),
                self._request_s.labels(model, protocol),
            )
        return found

    def _note_batch(self, batch: BatchRecord) -> None:
        self._batch_windows.observe(batch.windows)
        self._batch_pixels.observe(batch.pixels)


def find_outcome(error: BaseException | None) -> str:
    """Return the outcome of a request, given the exception that ended it; None means success."""
    if error is None:
        return "ok"
    for kind, outcome in _OUTCOMES.items():
        if isinstance(error, kind):
            return outcome
    if is_out_of_memory(error):
        return _OUTCOMES[errors.OutOfMemoryError]
    return "failed" if isinstance(error, Exception) else "gone"


def _describe_end(error: BaseException | None) -> dict[str, str]:
    """Return the outcome of a request, as attributes of its span."""
    facts = {"outcome": find_outcome(error)}
    if isinstance(error, errors.LacunaError):
        facts["error"] = error.code
    return facts
