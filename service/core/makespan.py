"""Time that workers take for calls which they share."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


def predict_makespan(costs_s: Iterable[float], workers: int) -> float:
    """Predict the seconds until workers have made all calls, the longest first.

    A worker that is done takes the longest call that is left, which is at most a third worse than
    the best order (Graham 1969, doi:10.1137/0117039).

    Args:
        costs_s: Seconds of each call.
        workers: Number of workers, at least 1.
    """
    ends_s = [0.0] * workers
    for cost_s in sorted(costs_s, reverse=True):
        heapq.heapreplace(ends_s, ends_s[0] + cost_s)
    return max(ends_s)
