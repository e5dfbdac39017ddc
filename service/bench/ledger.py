"""What came of the requests of a run, written down as it comes."""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from service.bench.check import count_differing_labels
from service.bench.question import Question

REFUSALS = (429, 503)
"""Statuses by which a server says that it cannot now."""

_SAMPLED = 16
_COMPUTED = re.compile(rb"\r\nlacuna-computed-pixels:[ \t]*(\d{1,18})")
_TIMING = re.compile(rb"\r\nserver-timing:([^\r]*)")
_STAGE = re.compile(rb"([a-z_-]+);dur=([0-9.]+)")


class Errand(NamedTuple):
    """One request of a run.

    Attributes:
        due_s: when it was sent, or in an open loop should have been.
        question: its number.
        counts: whether it is due in the window that is measured.
    """

    due_s: float
    question: int
    counts: bool


class Ledger:
    """Writes down what came of requests.

    Args:
        questions: that are asked.

    Attributes:
        due_s: of each answered request, when it was due.
        ended_s: when its answer was there.
        question: its question's number.
        computed_pixels: that the server says it took; -1 where it does not.
        refused: how many of the window's requests were refused, by status.
        failed: how many of them failed, by status or reason.
        checked_answers: how many answers were compared, the warm-up's included.
        differing_answers: how many of those were not what was expected.
        differing_labels: in how many labels altogether.
        received_bytes: of all answers' bodies.
        stages_ms: a sample of what the server says of its stages.
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self.due_s, self.ended_s = array("d"), array("d")
        self.question, self.computed_pixels = array("q"), array("q")
        self.refused: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.checked_answers = self.differing_answers = self.differing_labels = 0
        self.received_bytes = 0
        self.stages_ms: defaultdict[str, list[float]] = defaultdict(list)

    def note_answer(
        self, errand: Errand, ended_s: float, status: int, head: bytes, body: bytes
    ) -> None:
        """Write down an answer.

        Args:
            errand: what was asked.
            ended_s: when the answer was there.
            status: of HTTP.
            head: of the answer, in lower case.
            body: of the answer.
        """
        self.received_bytes += len(body)
        if status == 200:
            self._note_labels(errand, ended_s, head, body)
        elif status in REFUSALS:
            self.refused[str(status)] += errand.counts
        else:
            self.failed[str(status)] += errand.counts

    def note_failure(self, errand: Errand, reason: str) -> None:
        """Write down that no answer came."""
        self.failed[reason] += errand.counts

    def _note_labels(self, errand: Errand, ended_s: float, head: bytes, body: bytes) -> None:
        expected = self._questions[errand.question].expected
        if expected is not None:
            self.checked_answers += 1
            if body != expected:
                differing = count_differing_labels(expected, body)
                self.differing_labels += differing
                self.differing_answers += differing > 0
        computed = _COMPUTED.search(head)
        self.due_s.append(errand.due_s)
        self.ended_s.append(ended_s)
        self.question.append(errand.question)
        self.computed_pixels.append(-1 if computed is None else int(computed[1]))
        if len(self.question) % _SAMPLED == 1:
            self._note_stages(head)

    def _note_stages(self, head: bytes) -> None:
        timing = _TIMING.search(head)
        for name, milliseconds in _STAGE.findall(timing[1] if timing else b""):
            self.stages_ms[name.decode()].append(float(milliseconds))
