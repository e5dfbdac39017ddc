"""What the engine has done, told by worker threads and read on the event loop."""

from __future__ import annotations

import copy
import threading
from collections import defaultdict

from service.core.statistics import BatchRecord, EngineStatistics


class Tally:
    """Counts the work of all models, by name and version. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: defaultdict[tuple[str, str], EngineStatistics] = defaultdict(EngineStatistics)

    def count_image(self, model: str, version: str) -> None:
        """Count an image that was segmented."""
        with self._lock:
            self._models[model, version].images += 1

    def count_call(self, record: BatchRecord) -> None:
        """Count a call of a model."""
        with self._lock:
            self._models[record.model, record.version].count_call(record)

    def read(self, model: str, version: str) -> EngineStatistics:
        """Give what was counted of a model up to now, as a copy."""
        with self._lock:
            return copy.deepcopy(self._models.get((model, version), EngineStatistics()))
