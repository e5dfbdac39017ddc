"""Load profiles: connections, rate and length of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_DRAWN_AT_ONCE = 1024


@dataclass(frozen=True)
class LoadProfile:
    """Profile of the load on a server.

    Without a rate the loop is closed: each connection sends its next request when the last one is
    answered. With a rate the loop is open: requests arrive at random, whether the server keeps up
    or not, and each waits for a free connection. Its latency counts from its arrival.

    Requests are measured in a window of time after the warm-up. The load goes on until every
    request of the window is answered, so that the last ones do not run on an idle server.

    Attributes:
        connections: number of open connections.
        rate_per_s: mean number of arrivals per second; None for a closed loop.
        duration_s: length of the window; None if `requests` ends it.
        requests: number of requests in the window; None if `duration_s` ends it.
        warmup_s: seconds of load before the window.
        timeout_s: time after which a request fails and its connection is closed.
        seed: seed of the arrival times.

    Raises:
        ValueError: if a number is out of its range, or not exactly one of `duration_s` and
            `requests` is given.
    """

    connections: int = 8
    rate_per_s: float | None = None
    duration_s: float | None = None
    requests: int | None = None
    warmup_s: float = 0.0
    timeout_s: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.duration_s is None) == (self.requests is None):
            raise ValueError(
                "one of duration_s and requests must be given; "
                f"they are {self.duration_s} and {self.requests}"
            )
        for name in ("connections", "rate_per_s", "duration_s", "requests", "timeout_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be more than 0; it is {value:g}")
        if self.warmup_s < 0:
            raise ValueError(f"warmup_s must be at least 0; it is {self.warmup_s:g}")


def draw_arrivals(rate_per_s: float, seed: int) -> Iterator[float]:
    """Draw the arrival times of a Poisson process, without end.

    Args:
        rate_per_s: mean number of arrivals per second.
        seed: seed of the times.

    Yields:
        Seconds since the start, rising.

    Raises:
        ValueError: if the rate is not more than 0.
    """
    if rate_per_s <= 0:
        raise ValueError(f"rate_per_s must be more than 0; it is {rate_per_s:g}")
    rng = np.random.default_rng(seed)
    now_s = 0.0
    while True:
        for time_s in now_s + np.cumsum(rng.exponential(1 / rate_per_s, _DRAWN_AT_ONCE)):
            now_s = float(time_s)
            yield now_s
