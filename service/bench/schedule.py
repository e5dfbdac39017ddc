"""Schedule of a run: the next request to send, and whether the run is over. No clock, no I/O.

Rules:
- A request is due when it is taken (closed loop) or when it arrives (open loop).
- It is measured if it is due in the window.
- New requests are accepted until the window has ended and every measured one is settled: answered,
  or failed. Until then the server stays under load.
- The run is over when no request is accepted and none is in flight.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import NamedTuple

from service.bench.load_profile import LoadProfile


class ScheduledRequest(NamedTuple):
    """One request of a run.

    Attributes:
        due_s: time at which it was sent or, in an open loop, arrived.
        number: number of the prepared request.
        is_measured: whether it is due in the window.
    """

    due_s: float
    number: int
    is_measured: bool


class Schedule:
    """Order and times of the requests of a run.

    Args:
        profile: how the server is loaded.
        prepared: number of prepared requests, which are sent in turn.
        starts_s: time at which the warm-up starts.

    Attributes:
        begins_s: time at which the window begins.
        ends_s: time at which it ends; infinite if a number of requests ends it.
        accepts: whether further requests may be sent.
        settled: number of requests that were answered or failed, those of the warm-up included.
    """

    def __init__(self, profile: LoadProfile, prepared: int, starts_s: float) -> None:
        self.begins_s = starts_s + profile.warmup_s
        self.ends_s = self.begins_s + (profile.duration_s or math.inf)
        self.accepts = True
        self.settled = 0
        self._is_open_loop = profile.rate_per_s is not None
        self._max_measured = profile.requests
        self._turns = itertools.cycle(range(prepared))
        self._waiting: deque[ScheduledRequest] = deque()
        self._measured = self._unsettled = self._in_flight = 0

    @property
    def is_over(self) -> bool:
        """True if nothing is left to send or to wait for."""
        return not (self.accepts or self._unsettled or self._in_flight)

    def arrive(self, due_s: float) -> None:
        """Add a request of an open loop."""
        self._waiting.append(self._make(due_s))

    def take(self, now_s: float) -> ScheduledRequest | None:
        """Return the request to send now; None if there is none."""
        if self._waiting:
            scheduled = self._waiting.popleft()
        elif self.accepts and not self._is_open_loop:
            scheduled = self._make(now_s)
        else:
            return None
        self._in_flight += 1
        return scheduled

    def settle(self, scheduled: ScheduledRequest, now_s: float) -> None:
        """Note that a request that was taken is answered, or has failed."""
        self.settled += 1
        self._in_flight -= 1
        self._unsettled -= scheduled.is_measured
        self.advance(now_s)

    def advance(self, now_s: float) -> None:
        """Stop accepting requests if the window is over and all of its requests are settled."""
        if now_s >= self.ends_s and not self._unsettled:
            self.accepts = False
            self._waiting.clear()

    def _make(self, due_s: float) -> ScheduledRequest:
        is_measured = self.begins_s <= due_s < self.ends_s
        if is_measured:
            self._unsettled += 1
            self._measured += 1
            self.accepts = self._measured != self._max_measured
        return ScheduledRequest(due_s, next(self._turns), is_measured)
