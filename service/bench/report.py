"""Report of a run: throughput, latencies, failures and differing labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.bench.load import Run
from service.bench.prepared_request import PreparedRequest


@dataclass(frozen=True)
class Latency:
    """Percentiles of the seconds from when a request was due until its answer was complete.

    All are 0 if there is no answer.

    Attributes:
        p50: median.
        p95: 95th percentile.
        p99: 99th percentile.
        max: longest.
    """

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class Report:
    """Report of a run.

    Attributes:
        duration_s: length of the measured window.
        images_per_s: images answered per second. Work across an end of the window counts in part.
        megapixels_per_s: megapixels of these images.
        valid_megapixels_per_s: megapixels of these images, counting valid pixels alone.
        latency_s: latencies of the answered requests that were due in the window.
        answered: number of these requests.
        refused: number of refused requests of the window, by status.
        failed: number of failed requests of the window, by status or reason.
        checked_answers: number of answers that were compared with the expected ones.
        differing_answers: number of these that differ.
        differing_labels: number of labels that differ in them.
        sent_bytes: size of the answered requests.
        received_bytes: size of all answers.
        computed_per_pixel: pixels that the server computed, padding and halos included, for each
            pixel of the images; None if it does not say.
        computed_per_valid_pixel: the same for each valid pixel.
        stages_ms: median time of each of the server's stages, in a sample of the answers.
        generator_us: microseconds of processor time per request in this process.
    """

    duration_s: float
    images_per_s: float
    megapixels_per_s: float
    valid_megapixels_per_s: float
    latency_s: Latency
    answered: int
    refused: Mapping[str, int]
    failed: Mapping[str, int]
    checked_answers: int
    differing_answers: int
    differing_labels: int
    sent_bytes: int
    received_bytes: int
    computed_per_pixel: float | None
    computed_per_valid_pixel: float | None
    stages_ms: Mapping[str, float]
    generator_us: float

    @property
    def is_clean(self) -> bool:
        """True if no request failed and no answer differs."""
        return not self.failed and not self.differing_answers

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return dataclasses.asdict(self)


def make_report(run: Run, requests: Sequence[PreparedRequest]) -> Report:
    """Make the report of a run.

    Args:
        run: finished run.
        requests: prepared requests of the run.
    """
    log = run.log
    due_s, ended_s = np.asarray(log.due_s), np.asarray(log.ended_s)
    number = np.asarray(log.number, np.int64)
    pixels = np.array([request.pixels for request in requests])[number]
    valid = np.array([request.valid_pixels for request in requests])[number]
    sizes = np.array([len(request.content) for request in requests])[number]
    share = measure_share(due_s, ended_s, run.begins_s, run.ends_s)
    counted = (run.begins_s <= due_s) & (due_s < run.ends_s)
    duration_s = run.ends_s - run.begins_s
    computed = np.asarray(log.computed_pixels, np.int64)
    is_stated = computed >= 0
    return Report(
        duration_s=duration_s,
        images_per_s=float(share.sum() / duration_s),
        megapixels_per_s=float(share @ pixels / duration_s / 1e6),
        valid_megapixels_per_s=float(share @ valid / duration_s / 1e6),
        latency_s=summarize_latencies((ended_s - due_s)[counted]),
        answered=int(counted.sum()),
        refused=dict(+log.refused),
        failed=dict(+log.failed),
        checked_answers=log.checked_answers,
        differing_answers=log.differing_answers,
        differing_labels=log.differing_labels,
        sent_bytes=int(sizes.sum()),
        received_bytes=log.received_bytes,
        computed_per_pixel=_divide(computed[is_stated].sum(), pixels[is_stated].sum()),
        computed_per_valid_pixel=_divide(computed[is_stated].sum(), valid[is_stated].sum()),
        stages_ms={name: float(np.median(values)) for name, values in log.stages_ms.items()},
        generator_us=run.cpu_s / max(run.exchanges, 1) * 1e6,
    )


def measure_share(
    began_s: NDArray[np.float64], ended_s: NDArray[np.float64], begins_s: float, ends_s: float
) -> NDArray[np.float64]:
    """Return the fraction of each piece of work that lies in a window of time.

    Work across an end of the window counts in part. Otherwise a few long pieces would make the
    throughput jump.

    Args:
        began_s: time at which each piece began.
        ended_s: time at which each piece ended.
        begins_s: time at which the window begins.
        ends_s: time at which the window ends.

    Returns:
        Fractions from 0 to 1.
    """
    inside = np.minimum(ended_s, ends_s) - np.maximum(began_s, begins_s)
    return np.asarray(np.clip(inside, 0, None) / np.maximum(ended_s - began_s, 1e-9))


def summarize_latencies(latencies_s: NDArray[np.float64]) -> Latency:
    """Return the percentiles of latencies in seconds."""
    if not latencies_s.size:
        return Latency(0.0, 0.0, 0.0, 0.0)
    return Latency(*(float(value) for value in np.percentile(latencies_s, (50, 95, 99, 100))))


def _divide(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None
