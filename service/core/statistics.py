"""What models have done since the server started, as counts and durations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

STAGES = ("decode", "queue", "infer", "encode")
"""Of a request that is answered."""


class PixelCounts(NamedTuple):
    """Pixels of the images of a request.

    Attributes:
        image: of all of them.
        valid: that were valid.
        computed: that the model saw for them, padding and halos included.
    """

    image: int = 0
    valid: int = 0
    computed: int = 0


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
    """What became of the requests for one version of a model.

    Attributes:
        last_s: when the last answer was given, in seconds of the epoch; 0 for never.
        success: requests that were answered.
        fail: requests that failed once their model had been found.
        stages: of the requests that were answered, each of `STAGES`.
    """

    last_s: float = 0.0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    stages: Mapping[str, Duration] = field(
        default_factory=lambda: {stage: Duration() for stage in STAGES}
    )

    def count_success(self, now_s: float, total_s: float, timings_s: Mapping[str, float]) -> None:
        """Count a request that was answered.

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


class BatchRecord(NamedTuple):
    """A call of a model that came back with answers.

    Attributes:
        model: its name.
        version: of the model.
        windows: that shared the call.
        pixels: that were computed, padding included.
        input_s: seconds of putting the windows into one batch.
        infer_s: seconds of the model.
        output_s: seconds of cutting the answers out and putting them in their places.
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
    """The calls that were made with one number of windows.

    Attributes:
        input: putting the windows into one batch.
        infer: the model.
        output: cutting the answers out and putting them in their places.
    """

    input: Duration = field(default_factory=Duration)
    infer: Duration = field(default_factory=Duration)
    output: Duration = field(default_factory=Duration)


@dataclass
class EngineStatistics:
    """What the engine has done with one version of a model.

    Attributes:
        images: that were segmented, those without a valid pixel included.
        batches: the calls by their number of windows.
    """

    images: int = 0
    batches: dict[int, BatchStatistics] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """How often the model was called."""
        return sum(batch.infer.count for batch in self.batches.values())

    def count_call(self, record: BatchRecord) -> None:
        """Count a call."""
        batch = self.batches.get(record.windows)
        if batch is None:
            batch = self.batches[record.windows] = BatchStatistics()
        batch.input.add(record.input_s)
        batch.infer.add(record.infer_s)
        batch.output.add(record.output_s)
