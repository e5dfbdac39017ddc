"""Discrete events in the order of their times."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Events:
    """Events that are still to come. Those of one time happen in the order they were added.

    Attributes:
        now_s: Current time of the simulation, in seconds.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._number = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def add(self, time_s: float, action: Callable[[], None]) -> None:
        """Add an event: an action at a time in seconds."""
        heapq.heappush(self._heap, (time_s, next(self._number), action))

    def run_until(self, time_s: float) -> None:
        """Run all events up to a time in seconds, included, and let it be the current time."""
        while self._heap and self._heap[0][0] <= time_s:
            self.now_s, _, action = heapq.heappop(self._heap)
            action()
        self.now_s = time_s
