"""When requests arrive that nobody paces: a Poisson process."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_DRAWN_AT_ONCE = 1024


def draw_arrivals(rate_per_s: float, seed: int) -> Iterator[float]:
    """Draw arrival times without end.

    Args:
        rate_per_s: how many arrive in a second on average.
        seed: that they are drawn from.

    Yields:
        Seconds since the beginning, rising.

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
