"""Metrics that are measured when they are scraped, so that no request pays for them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lacuna.distribution import VERSION
from service.engine.admission_gate import AdmissionGate
from service.engine.dispatcher import Dispatcher
from service.engine.lifecycle.repository import ModelRepository, ModelState

WORKER_STATES = ("busy", "idle")
UNITS = ("seconds", "bytes")


class Snapshot(Collector):
    """State of the engine, of pending requests and of models.

    Args:
        dispatcher: Dispatcher whose queue and workers are measured.
        repository: Repository of the models.
        gate: Gate that counts the pending requests and their memory.
    """

    def __init__(
        self, dispatcher: Dispatcher, repository: ModelRepository, gate: AdmissionGate
    ) -> None:
        self._dispatcher = dispatcher
        self._repository = repository
        self._gate = gate

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, each with the unit that its name ends with."""
        for metric in self._collect():
            unit = metric.name.rpartition("_")[2]
            metric.unit = unit if unit in UNITS else ""
            yield metric

    def _collect(self) -> Iterator[Metric]:
        for name, (text, value) in self._read_numbers().items():
            yield GaugeMetricFamily(name, text, value)
        yield self._collect_workers()
        yield CounterMetricFamily(
            "lacuna_worker_busy_seconds",
            "Time that workers spent in finished model calls.",
            self._dispatcher.counters.sum_busy_s(),
        )
        yield self._collect_states()
        yield from self._collect_models()
        build = GaugeMetricFamily(
            "lacuna_build_info", "Version of the server; always 1.", labels=("version",)
        )
        build.add_metric((VERSION,), 1.0)
        yield build

    def _read_numbers(self) -> dict[str, tuple[str, float]]:
        """Return the description and the value of each gauge without labels, by its name."""
        memory = self._gate.memory
        return {
            "lacuna_queue_windows": (
                "Windows in the queue.",
                self._dispatcher.count_waiting(),
            ),
            "lacuna_queue_predicted_seconds": (
                "Predicted time that one worker needs for the queue.",
                self._dispatcher.sum_waiting_s(),
            ),
            "lacuna_pending_requests": (
                "Requests that are admitted and not yet answered.",
                self._gate.pending,
            ),
            "lacuna_pending_body_bytes": (
                "Bytes of their bodies that have come.",
                self._gate.pending_bytes,
            ),
            "lacuna_image_memory_bytes": (
                "Memory that requests hold for images, labels and answers.",
                memory.held_bytes,
            ),
            "lacuna_image_memory_limit_bytes": (
                "Memory that requests may hold for images, labels and answers.",
                memory.image_bytes,
            ),
            "lacuna_engine_longest_run_seconds": (
                "Time since the oldest running model call began.",
                self._dispatcher.find_longest_run_s(),
            ),
        }

    def _collect_workers(self) -> Metric:
        running = self._dispatcher.measure_running()
        workers = GaugeMetricFamily(
            "lacuna_workers", "Workers that run a model call, and the others.", labels=("state",)
        )
        counts = (running.workers - running.idle, running.idle)
        for state, count in zip(WORKER_STATES, counts, strict=True):
            workers.add_metric((state,), count)
        return workers

    def _collect_states(self) -> Metric:
        states = GaugeMetricFamily(
            "lacuna_model_state",
            "1 for the current state of a model version, 0 for the others.",
            labels=("model", "version", "state"),
        )
        for status in self._repository.statuses:
            for state in ModelState:
                labels = (status.name, status.version, state.value)
                states.add_metric(labels, float(status.state is state))
        return states

    def _collect_models(self) -> Iterator[Metric]:
        factors = GaugeMetricFamily(
            "lacuna_model_cost_factor",
            "Measured time of a model's last calls per calibrated time, as a median.",
            labels=("model", "version"),
        )
        preparations = GaugeMetricFamily(
            "lacuna_model_load_seconds",
            "Time that each step took before the model served.",
            labels=("model", "version", "step"),
        )
        for model in self._repository.models:
            names = (model.name, model.version)
            factors.add_metric(names, model.correction.factor)
            for step, spent_s in model.preparation_s.items():
                preparations.add_metric((*names, step), spent_s)
        yield factors
        yield preparations
