"""How a server is loaded: by how many, how fast, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How a server is loaded.

    Without a rate the loop is closed: each connection sends its next request when its last one is
    answered. With a rate the loop is open: requests arrive by chance whether the server keeps up or
    not, and each waits for a free connection; its latency counts from its arrival.

    What is measured lies in a window of time after the warm-up. The load goes on until all that
    began in the window is answered, so that the last ones do not run on an idle server.

    Attributes:
        connections: open at once.
        rate_per_s: arrivals in a second on average; None for a closed loop.
        duration_s: length of the window; None if `requests` says when it ends.
        requests: that are sent in the window; None if `duration_s` says when it ends.
        warmup_s: seconds of load before the window.
        timeout_s: after which a request is given up, and its connection with it.
        seed: of the arrivals.

    Raises:
        ValueError: if a number is out of its range, or not just one of `duration_s` and `requests`
            is given.
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
