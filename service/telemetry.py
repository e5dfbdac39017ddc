"""Counts what happens, for Prometheus, and tells the traces of it where there are any.

Names and labels are documented in docs/operations.md, and held to it by a test. Labels have few
values: a model that a request names counts only once the repository knows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import ClientDisconnect

from lacuna import errors
from lacuna.distribution import VERSION
from service.core.statistics import BatchRecord
from service.engine.dispatcher import Dispatcher
from service.engine.lifecycle.repository import ModelRepository, ModelState
from service.tracing import Tracing

# Each counter's time of birth would double the series, and nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WINDOWS = (1, 2, 4, 8, 16, 32, 64)
_PIXELS = tuple(4**power for power in range(4, 12))

_OUTCOMES: Mapping[type[Exception], str] = {
    errors.RequestError: "invalid",
    errors.OverloadedError: "refused",
    errors.DeadlineExceededError: "deadline",
    errors.NotReadyError: "unavailable",
    ClientDisconnect: "gone",
}
STAGES = ("decode", "queue", "infer", "encode")
KINDS = ("image", "valid", "computed")
OUTCOMES = ("ok", *_OUTCOMES.values(), "failed")


class RequestMeter:
    """What one request tells of itself while it is being answered: as long as the context lasts.

    Args:
        protocol: `native`, `oip` or `tfserving`.
        count: told of the meter, the seconds and what went wrong, at the end.

    Attributes:
        protocol: of the request.
        model: that answers it; empty as long as it is not known.
        version: of the model.
        stages_s: seconds spent in each stage.
        starts_s: when each stage began, by `time.perf_counter`.
        size: height and width of its image, if there is one only.
        images: how many there are, as far as is known.
        pixels: of all of them, by kind: `image`, `valid` and `computed`.
    """

    __slots__ = (
        "_began_s",
        "_count",
        "images",
        "model",
        "pixels",
        "protocol",
        "size",
        "stages_s",
        "starts_s",
        "version",
    )

    def __init__(
        self, protocol: str, count: Callable[[RequestMeter, float, BaseException | None], None]
    ) -> None:
        self.protocol = protocol
        self.model = self.version = ""
        self.stages_s: Mapping[str, float] = {}
        self.starts_s: Mapping[str, float] = {}
        self.size: tuple[int, int] | None = None
        self.images: int | None = None
        self.pixels: Mapping[str, int] = {}
        self._count = count

    def __enter__(self) -> Self:
        self._began_s = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._count(self, time.perf_counter() - self._began_s, error)


class Telemetry:
    """The metrics of a server.

    Args:
        dispatcher: whose queue and calls are looked at when metrics are asked for.
        repository: of the models.
        tracing: where requests are traced to, if they are.

    Attributes:
        tracing: the same.
    """

    def __init__(
        self, dispatcher: Dispatcher, repository: ModelRepository, tracing: Tracing | None = None
    ) -> None:
        self.tracing = tracing
        self._registry = registry = CollectorRegistry()
        for process in (ProcessCollector, PlatformCollector, GCCollector):
            process(registry=registry)
        self._requests = Counter(
            "lacuna_requests",
            "Requests that were answered.",
            ("model", "protocol", "outcome"),
            registry=registry,
        )
        self._found: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._request_s = Histogram(
            "lacuna_request_seconds",
            "Time from a request's headers to its answer.",
            ("model", "protocol"),
            buckets=_SECONDS,
            registry=registry,
        )
        stage_s = Histogram(
            "lacuna_stage_seconds",
            "Time that answered requests spent in a stage.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        pixels = Counter(
            "lacuna_pixels",
            "Pixels of answered images, valid ones, and those computed for them.",
            ("kind",),
            registry=registry,
        )
        # Finding a metric by its labels takes longer than counting, so it is done once.
        self._stage_s = {stage: stage_s.labels(stage) for stage in STAGES}
        self._pixels = {kind: pixels.labels(kind) for kind in KINDS}
        self._refused = Counter(
            "lacuna_refused", "Requests that were not taken in.", ("reason",), registry=registry
        )
        self._batch_windows = Histogram(
            "lacuna_batch_windows", "Windows in a call.", buckets=_WINDOWS, registry=registry
        )
        self._batch_pixels = Histogram(
            "lacuna_batch_pixels", "Pixels of a call.", buckets=_PIXELS, registry=registry
        )
        registry.register(_Snapshot(dispatcher, repository))
        dispatcher.on_batch = self._note_batch

    def render(self) -> bytes:
        """Write all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def measure(self, protocol: str) -> RequestMeter:
        """Measure the answering of one request, in a context.

        Args:
            protocol: `native`, `oip`, `tfserving` or `preview`.
        """
        return RequestMeter(protocol, self._count)

    def _count(self, meter: RequestMeter, seconds: float, error: BaseException | None) -> None:
        requests, duration = self._find(meter.model, meter.protocol, find_outcome(error))
        requests.inc()
        duration.observe(seconds)
        if isinstance(error, errors.OverloadedError):
            self._refused.labels(error.reason).inc()
        for stage, spent_s in meter.stages_s.items():
            self._stage_s[stage].observe(spent_s)
        for kind, count in meter.pixels.items():
            self._pixels[kind].inc(count)
        if self.tracing is not None:
            self.tracing.describe(_list_facts(meter, error), meter.starts_s, meter.stages_s)

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
    """Tell how a request ended, given what was raised; None if nothing was."""
    if error is None:
        return "ok"
    for kind, outcome in _OUTCOMES.items():
        if isinstance(error, kind):
            return outcome
    return "failed" if isinstance(error, Exception) else "gone"


def _list_facts(meter: RequestMeter, error: BaseException | None) -> dict[str, str | int]:
    """Give what is known of a request, as its span names it."""
    facts: dict[str, str | int] = {"protocol": meter.protocol, "outcome": find_outcome(error)}
    if isinstance(error, errors.LacunaError):
        facts["error"] = error.code
    if meter.model:
        facts |= {"model.name": meter.model, "model.version": meter.version}
    if meter.size is not None:
        facts["image.height"], facts["image.width"] = meter.size
    if meter.images is not None:
        facts["images"] = meter.images
    return facts | {f"pixels.{kind}": count for kind, count in meter.pixels.items()}


class _Snapshot(Collector):
    """What is looked up when metrics are asked for."""

    def __init__(self, dispatcher: Dispatcher, repository: ModelRepository) -> None:
        self._dispatcher = dispatcher
        self._repository = repository

    def collect(self) -> Iterator[Metric]:
        """Give the gauges."""
        load = self._dispatcher.measure_load()
        numbers = {
            "lacuna_queue_windows": (
                "Windows that wait for a worker.",
                self._dispatcher.count_waiting(),
            ),
            "lacuna_queue_predicted_seconds": (
                "Predicted seconds of one worker for what waits.",
                load.waiting_s,
            ),
            "lacuna_engine_longest_run_seconds": (
                "For how long the oldest running call has been running.",
                self._dispatcher.find_longest_run_s(),
            ),
        }
        for name, (text, value) in numbers.items():
            yield GaugeMetricFamily(name, text, value)
        states = GaugeMetricFamily(
            "lacuna_model_state",
            "1 for the state that a model is in.",
            labels=("model", "version", "state"),
        )
        for status in self._repository.statuses:
            for state in ModelState:
                labels = (status.name, status.version, state.value)
                states.add_metric(labels, float(status.state is state))
        yield states
        build = GaugeMetricFamily("lacuna_build_info", "Always 1.", labels=("version",))
        build.add_metric((VERSION,), 1.0)
        yield build
