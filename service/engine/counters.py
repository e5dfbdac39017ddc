"""Counters of the engine's work, written by worker threads and read on the event loop."""

from __future__ import annotations

import copy
import threading
from collections import defaultdict

from service.core.statistics import BatchRecord, EngineStatistics


class EngineCounters:
    """Statistics of the engine by model name and version. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: defaultdict[tuple[str, str], EngineStatistics] = defaultdict(EngineStatistics)

    def count_image(self, model: str, version: str) -> None:
        """Count a segmented image."""
        with self._lock:
            self._models[model, version].images += 1

    def count_call(self, record: BatchRecord) -> None:
        """Count a model call."""
        with self._lock:
            self._models[record.model, record.version].count_call(record)

    def sum_busy_s(self) -> float:
        """Return the seconds that workers spent in finished calls, of all models together."""
        with self._lock:
            return sum(statistics.busy_s for statistics in self._models.values())

    def read(self, model: str, version: str) -> EngineStatistics:
        """Return a copy of the statistics of a model."""
        with self._lock:
            return copy.deepcopy(self._models.get((model, version), EngineStatistics()))
