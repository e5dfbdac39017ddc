"""What models have done since the server started, as counts and durations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STAGES = ("decode", "queue", "infer", "encode")
"""Of a request that is answered."""


@dataclass
class Duration:
    """How often something was done, and how long that took altogether.

    Attributes:
        count: how often.
        total_s: in seconds.
    """

    count: int = 0
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count it once more."""
        self.count += 1
        self.total_s += seconds


@dataclass
class ModelStatistics:
    """What one version of a model has done.

    Attributes:
        images: that were answered.
        executions: of these, how many the model was run for; the others had no valid pixel.
        last_s: when the last answer was given, in seconds of the epoch; 0 for never.
        success: requests that were answered.
        fail: requests that failed once their model had been found.
        stages: of the requests that were answered, each of `STAGES`.
    """

    images: int = 0
    executions: int = 0
    last_s: float = 0.0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    stages: Mapping[str, Duration] = field(
        default_factory=lambda: {stage: Duration() for stage in STAGES}
    )

    def count_success(self, now_s: float, total_s: float, timings_s: Mapping[str, float]) -> None:
        """Count a request that was answered, its images apart.

        Args:
            now_s: seconds of the epoch.
            total_s: seconds that it took.
            timings_s: seconds of each of `STAGES`.
        """
        self.last_s = now_s
        self.success.add(total_s)
        for stage, duration in self.stages.items():
            duration.add(timings_s[stage])


class StatisticsBook:
    """The statistics of all models, by name and version."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], ModelStatistics] = {}

    def find(self, name: str, version: str) -> ModelStatistics:
        """Give a model's statistics, all 0 if it has done nothing yet."""
        return self._models.setdefault((name, version), ModelStatistics())
