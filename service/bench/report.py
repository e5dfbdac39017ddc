"""What a run says, in numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.bench.load import Run
from service.bench.question import Question


@dataclass(frozen=True)
class Latency:
    """Seconds from when a request was due until its answer was there; 0 where none was.

    Attributes:
        p50: half of the requests took at most so long.
        p95: 95 of a hundred did.
        p99: 99 of a hundred did.
        max: the longest.
    """

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
        duration_s: length of the window that was measured.
        images_per_s: answered in it. What lies across its ends counts in proportion.
        megapixels_per_s: of those images.
        valid_megapixels_per_s: of those images, valid pixels alone.
        latency_s: of the answered requests that were due in the window.
        answered: how many they are.
        refused: how many of the window's requests were refused, by status.
        failed: how many of them failed, by status or reason.
        checked_answers: how many answers were compared with what was expected.
        differing_answers: how many of those differ.
        differing_labels: in how many labels altogether.
        sent_bytes: of the answered requests.
        received_bytes: of all answers.
        computed_per_pixel: pixels that the server computed, padding and halos included, for each of
            the images'; None if it does not tell.
        computed_per_valid_pixel: the same for each valid pixel.
        stages_ms: medians of what the server says of its stages, of a sample of the answers.
        generator_us: microseconds of processor time that a request took on this side.
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
        """Whether no request failed and no answer differs."""
        return not self.failed and not self.differing_answers

    def to_json(self) -> dict[str, Any]:
        """Give everything as JSON values."""
        return dataclasses.asdict(self)


def make_report(run: Run, questions: Sequence[Question]) -> Report:
    """Make the report of a run.

    Args:
        run: that is over.
        questions: that were asked in it.
    """
    ledger = run.ledger
    due_s, ended_s = np.asarray(ledger.due_s), np.asarray(ledger.ended_s)
    index = np.asarray(ledger.question, np.int64)
    pixels = np.array([question.pixels for question in questions])[index]
    valid = np.array([question.valid_pixels for question in questions])[index]
    sizes = np.array([len(question.request) for question in questions])[index]
    share = measure_share(due_s, ended_s, run.begins_s, run.ends_s)
    counted = (run.begins_s <= due_s) & (due_s < run.ends_s)
    duration_s = run.ends_s - run.begins_s
    computed = np.asarray(ledger.computed_pixels, np.int64)
    told = computed >= 0
    return Report(
        duration_s=duration_s,
        images_per_s=float(share.sum() / duration_s),
        megapixels_per_s=float(share @ pixels / duration_s / 1e6),
        valid_megapixels_per_s=float(share @ valid / duration_s / 1e6),
        latency_s=summarize_latencies((ended_s - due_s)[counted]),
        answered=int(counted.sum()),
        refused=dict(+ledger.refused),
        failed=dict(+ledger.failed),
        checked_answers=ledger.checked_answers,
        differing_answers=ledger.differing_answers,
        differing_labels=ledger.differing_labels,
        sent_bytes=int(sizes.sum()),
        received_bytes=ledger.received_bytes,
        computed_per_pixel=_divide(computed[told].sum(), pixels[told].sum()),
        computed_per_valid_pixel=_divide(computed[told].sum(), valid[told].sum()),
        stages_ms={name: float(np.median(values)) for name, values in ledger.stages_ms.items()},
        generator_us=run.cpu_s / max(run.exchanges, 1) * 1e6,
    )


def measure_share(
    began_s: NDArray[np.float64], ended_s: NDArray[np.float64], begins_s: float, ends_s: float
) -> NDArray[np.float64]:
    """Give how much of each piece of work lies in a window of time, as a fraction of the piece.

    Pieces that lie across an end count in part: otherwise few long ones would make throughput jump
    by one of them or another.

    Args:
        began_s: when each began.
        ended_s: when each ended.
        begins_s: when the window begins.
        ends_s: when the window ends.

    Returns:
        From 0 to 1 for each.
    """
    inside = np.minimum(ended_s, ends_s) - np.maximum(began_s, begins_s)
    return np.asarray(np.clip(inside, 0, None) / np.maximum(ended_s - began_s, 1e-9))


def summarize_latencies(latencies_s: NDArray[np.float64]) -> Latency:
    """Give the percentiles that matter of latencies in seconds."""
    if not latencies_s.size:
        return Latency(0.0, 0.0, 0.0, 0.0)
    return Latency(*(float(value) for value in np.percentile(latencies_s, (50, 95, 99, 100))))


def _divide(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None
