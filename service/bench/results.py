"""Results of a run: recorded as they come, labels compared with the expected ones."""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from lacuna.errors import InvalidImageError
from lacuna.raster.npy import read_npy
from service.bench.connection import RawResponse
from service.bench.prepared_request import PreparedRequest
from service.bench.schedule import ScheduledRequest

REFUSALS = (429, 503)
"""Statuses of a server that cannot answer now."""

_SAMPLED = 16
_COMPUTED = re.compile(rb"\r\nlacuna-computed-pixels:[ \t]*(\d{1,18})")
_TIMING = re.compile(rb"\r\nserver-timing:([^\r]*)")
_STAGE = re.compile(rb"([a-z_-]+);dur=([0-9.]+)")


def count_differing_labels(expected: bytes, answer: bytes) -> int:
    """Count the labels in which an answer differs from the expected one.

    Args:
        expected: NPY file of labels uint8 (H, W).
        answer: body of the answer. If it is not an NPY file of that shape, all labels differ.
    """
    if answer == expected:
        return 0
    wanted = read_npy(expected)
    try:
        labels = read_npy(answer)
    except InvalidImageError:
        return wanted.size
    if labels.shape != wanted.shape:
        return wanted.size
    return int(np.count_nonzero(labels != wanted))


class ResultLog:
    """Log of the results of a run.

    Args:
        requests: prepared requests of the run.

    Attributes:
        due_s: for each answered request, the time at which it was due.
        ended_s: time at which its answer was complete.
        number: number of its prepared request.
        computed_pixels: pixels that the server computed for it; -1 if it does not say.
        refused: number of refused requests of the window, by status.
        failed: number of failed requests of the window, by status or reason.
        checked_answers: number of compared answers, those of the warm-up included.
        differing_answers: number of these that differ from the expected answer.
        differing_labels: number of labels that differ in them.
        received_bytes: size of the bodies of all answers.
        stages_ms: times of the server's stages, as it states them in a sample of the answers.
    """

    def __init__(self, requests: Sequence[PreparedRequest]) -> None:
        self._requests = requests
        self.due_s, self.ended_s = array("d"), array("d")
        self.number, self.computed_pixels = array("q"), array("q")
        self.refused: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.checked_answers = self.differing_answers = self.differing_labels = 0
        self.received_bytes = 0
        self.stages_ms: defaultdict[str, list[float]] = defaultdict(list)

    def record_response(
        self, scheduled: ScheduledRequest, ended_s: float, response: RawResponse
    ) -> None:
        """Record a response.

        Args:
            scheduled: request that it answers.
            ended_s: time at which it was complete.
            response: status, head and body.
        """
        self.received_bytes += len(response.body)
        if response.status == 200:
            self._record_labels(scheduled, ended_s, response)
        elif response.status in REFUSALS:
            self.refused[str(response.status)] += scheduled.is_measured
        else:
            self.failed[str(response.status)] += scheduled.is_measured

    def record_failure(self, scheduled: ScheduledRequest, reason: str) -> None:
        """Record that no response came."""
        self.failed[reason] += scheduled.is_measured

    def _record_labels(
        self, scheduled: ScheduledRequest, ended_s: float, response: RawResponse
    ) -> None:
        expected = self._requests[scheduled.number].expected
        if expected is not None:
            differing = count_differing_labels(expected, response.body)
            self.checked_answers += 1
            self.differing_labels += differing
            self.differing_answers += differing > 0
        computed = _COMPUTED.search(response.head)
        self.due_s.append(scheduled.due_s)
        self.ended_s.append(ended_s)
        self.number.append(scheduled.number)
        self.computed_pixels.append(-1 if computed is None else int(computed[1]))
        if len(self.number) % _SAMPLED == 1:
            self._record_stages(response.head)

    def _record_stages(self, head: bytes) -> None:
        timing = _TIMING.search(head)
        for name, milliseconds in _STAGE.findall(timing[1] if timing else b""):
            self.stages_ms[name.decode()].append(float(milliseconds))
