"""What a call of a model costs, calibrated on the machine that makes it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Measurement = tuple[int, float]
"""Pixels of a call (n · H · W) and the seconds it took."""

# A clock too coarse to have moved has measured this many seconds.
_TICK_S = 1e-9
# No machine computes a pixel faster, and a pixel must cost something: splitting and merging weigh
# calls against pixels.
_MIN_PIXEL_S = 1e-13
# A measurement this many times what the others predict was of something else: a graph being
# traced, or another process.
_OUTLIER = 1.5


@dataclass(frozen=True)
class BatchCost:
    """Seconds that one worker takes for one call: call_s + pixel_s · n · H · W.

    Attributes:
        call_s: seconds for a call, however small.
        pixel_s: seconds for each pixel of the batch, padding included.

    Raises:
        ValueError: if `call_s` is negative or `pixel_s` not positive, or one is not finite.
    """

    call_s: float
    pixel_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.call_s < math.inf and 0 < self.pixel_s < math.inf):
            raise ValueError(
                "call_s must be at least 0 and pixel_s more, both finite; "
                f"they are {self.call_s} and {self.pixel_s}"
            )

    def predict(self, pixels: int) -> float:
        """Give the seconds that a call of this many pixels takes."""
        return self.call_s + self.pixel_s * pixels

    @property
    def call_pixels(self) -> float:
        """How many pixels cost as much as a call does by itself."""
        return self.call_s / self.pixel_s

    @classmethod
    def fit(cls, measurements: Sequence[Measurement]) -> BatchCost:
        """Find the cost that explains measurements best, by least squares of relative errors.

        One measurement that took much longer than the others let expect is left out, if the others
        still span the same range of pixels: so measure each size twice.

        Args:
            measurements: of calls of at least two sizes.

        Raises:
            ValueError: if all are of one number of pixels, or a value is not possible.
        """
        if any(pixels < 1 or not 0 <= seconds < math.inf for pixels, seconds in measurements):
            raise ValueError(
                "measurements must be of at least 1 pixel and 0 finite seconds; "
                f"they are {list(measurements)}"
            )
        if len({pixels for pixels, _ in measurements}) < 2:
            raise ValueError(
                "measurements must be of at least two different numbers of pixels; "
                f"they are {list(measurements)}"
            )
        fits = [
            (_measure_misfit(cost, rest), index, cost)
            for index, rest in _leave_one_out(measurements)
            for cost in [_fit_relative(rest)]
        ]
        if fits:
            _, index, cost = min(fits, key=lambda fit: fit[:2])
            pixels, seconds = measurements[index]
            if seconds > _OUTLIER * cost.predict(pixels):
                return cost
        return _fit_relative(measurements)


def _leave_one_out(
    measurements: Sequence[Measurement],
) -> Iterator[tuple[int, list[Measurement]]]:
    """Give each measurement's index with the others, where those span the same range."""
    span = min(measurements)[0], max(measurements)[0]
    for index in range(len(measurements)):
        rest = [other for position, other in enumerate(measurements) if position != index]
        # Two of two sizes fit any line, whichever is left out.
        if len(rest) > 2 and (min(rest)[0], max(rest)[0]) == span:
            yield index, rest


def _fit_relative(measurements: Sequence[Measurement]) -> BatchCost:
    pixels = np.array([pixels for pixels, _ in measurements], np.float64)
    seconds = np.maximum([seconds for _, seconds in measurements], _TICK_S)
    # Σ (call_s · u + pixel_s · v − 1)² is to be least.
    u, v = 1 / seconds, pixels / seconds
    scale = pixels.max()
    (call_s, slope), *_ = np.linalg.lstsq(np.stack([u, v / scale], axis=1), np.ones_like(u))
    pixel_s = slope / scale
    # The sum is convex: where its minimum is out of bounds, the best allowed lies on that bound.
    if pixel_s < _MIN_PIXEL_S:
        pixel_s = _MIN_PIXEL_S
        call_s = max(0.0, u @ (1 - pixel_s * v) / (u @ u))
    elif call_s < 0:
        call_s, pixel_s = 0.0, v.sum() / (v @ v)
    return BatchCost(float(call_s), float(pixel_s))


def _measure_misfit(cost: BatchCost, measurements: Sequence[Measurement]) -> float:
    return sum(
        (cost.predict(pixels) / max(seconds, _TICK_S) - 1) ** 2 for pixels, seconds in measurements
    )
