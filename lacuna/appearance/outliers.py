"""Values far away from the others, such as saturated pixels or a forgotten no-data value.

A few of them would rule means and deviations. So they are moved to the ends of a range around the
2nd and 98th percentile, which it exceeds by their distance on both sides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (2.0, 98.0)
"""Percentiles of the values that are called low and high."""

_MOST_DEVIATION = 0.5
"""Largest deviation, as a part of the distance between the percentiles, that is not one of
outliers: a normal distribution has 0.24, an even one 0.3, and two values of the same frequency
0.5."""


class NearRange(NamedTuple):
    """Range of each channel outside of which values are far away.

    Attributes:
        least: float64 (C,); -inf where no value is.
        most: float64 (C,); inf where no value is.
    """

    least: NDArray[np.float64]
    most: NDArray[np.float64]

    @property
    def is_narrow(self) -> NDArray[np.bool_]:
        """Whether a value can be outside, bool (C,)."""
        return np.isfinite(self.most)

    def move(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return values (n, C) as float64, those outside moved to the ends."""
        return np.clip(values.astype(np.float64), self.least, self.most)


def surround(low: NDArray[Any], high: NDArray[Any]) -> NearRange:
    """Return the range around percentiles; all values, where these are the same.

    Args:
        low: of each channel, float (C,).
        high: the same.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    distance = np.where(high > low, high - low, np.inf)
    return NearRange(low - distance, high + distance)


def find_near_range(values: NDArray[Any], deviation: NDArray[np.float64]) -> NearRange:
    """Return the range of values that are not far away; all, where outliers do not rule.

    Args:
        values: numbers (n, C), n ≥ 1, or a sample of them.
        deviation: standard deviation of all values, float64 (C,).
    """
    low, high = np.percentile(values, PERCENTILES, axis=0)
    is_ruled = deviation > _MOST_DEVIATION * (high - low)
    least, most = surround(low, high)
    return NearRange(np.where(is_ruled, least, -np.inf), np.where(is_ruled, most, np.inf))
