"""Statistics of what models have done since the server started, as counts and durations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

STAGES = ("decode", "queue", "infer", "encode")
"""Stages of a request, in order."""


class PixelCounts(NamedTuple):
    """Numbers of pixels of a request's images.

    Attributes:
        image: All pixels of the images.
        valid: Valid pixels among them.
        computed: Pixels that the model computed for them, including padding and halos.
    """

    image: int = 0
    valid: int = 0
    computed: int = 0


@dataclass
class Duration:
    """Number of events and their total duration.

    Attributes:
        count: Number of events.
        total_s: Total duration in seconds.
    """

    count: int = 0
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Add one event."""
        self.count += 1
        self.total_s += seconds


@dataclass
class ModelStatistics:
    """Outcomes of the requests for one version of a model.

    Attributes:
        last_s: Time of the last answer, in seconds since the epoch; 0 if there was none.
        success: Requests that succeeded.
        fail: Requests that failed after their model had been found.
        stages: Durations of each of `STAGES` in the requests that succeeded.
    """

    last_s: float = 0.0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    stages: Mapping[str, Duration] = field(
        default_factory=lambda: {stage: Duration() for stage in STAGES}
    )

    def count_success(self, now_s: float, total_s: float, timings_s: Mapping[str, float]) -> None:
        """Count a request that succeeded.

        Args:
            now_s: Current time, in seconds since the epoch.
            total_s: Duration of the request, in seconds.
            timings_s: Seconds spent in each of `STAGES`.
        """
        self.last_s = now_s
        self.success.add(total_s)
        for stage, duration in self.stages.items():
            duration.add(timings_s[stage])


class StatisticsRegistry:
    """Statistics of all models, by name and version."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], ModelStatistics] = {}

    def find(self, name: str, version: str) -> ModelStatistics:
        """Return the statistics of a model; all 0 if it has none yet."""
        return self._models.setdefault((name, version), ModelStatistics())


class BatchRecord(NamedTuple):
    """Record of a model call that returned answers.

    Attributes:
        model: Name of the model.
        version: Version of the model.
        windows: Number of windows in the call.
        pixels: Number of computed pixels, padding included.
        input_s: Seconds spent on assembling the batch.
        infer_s: Seconds spent in the model.
        output_s: Seconds spent on copying the answers to their places.
    """

    model: str
    version: str
    windows: int
    pixels: int
    input_s: float
    infer_s: float
    output_s: float


@dataclass
class BatchStatistics:
    """Durations of the calls with one number of windows.

    Attributes:
        input: Assembling the batch.
        infer: Running the model.
        output: Copying the answers to their places.
    """

    input: Duration = field(default_factory=Duration)
    infer: Duration = field(default_factory=Duration)
    output: Duration = field(default_factory=Duration)


@dataclass
class EngineStatistics:
    """Work of the engine for one version of a model.

    Attributes:
        images: Number of segmented images, including those without a valid pixel.
        batches: Statistics of the calls, by number of windows.
    """

    images: int = 0
    batches: dict[int, BatchStatistics] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Number of model calls."""
        return sum(batch.infer.count for batch in self.batches.values())

    @property
    def busy_s(self) -> float:
        """Seconds that workers spent in these calls."""
        return sum(
            batch.input.total_s + batch.infer.total_s + batch.output.total_s
            for batch in self.batches.values()
        )

    def count_call(self, record: BatchRecord) -> None:
        """Count a model call."""
        batch = self.batches.get(record.windows)
        if batch is None:
            batch = self.batches[record.windows] = BatchStatistics()
        batch.input.add(record.input_s)
        batch.infer.add(record.infer_s)
        batch.output.add(record.output_s)
