"""Cost of model calls, calibrated on the machine that runs them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

Measurement = tuple[int, float]
"""Pixels n · H · W of a call and its seconds."""

HaloMeasurement = tuple[int, int, float]
"""Pixels of a call that are kept, pixels that are only seen, and its seconds."""

# Seconds that replace a measurement of 0 by a coarse clock.
_TICK_S = 1e-9
# Lower bound for the seconds per pixel. It must be positive, because splitting and batching weigh
# calls against pixels.
_MIN_PIXEL_S = 1e-13
# A measurement this many times longer than the others predict includes something else, such as the
# tracing of a graph or another process.
_OUTLIER = 1.5


@dataclass(frozen=True)
class BatchCost:
    """Seconds that one worker takes for one call: call_s + pixel_s · kept + halo_s · only seen.

    Attributes:
        call_s: Seconds per call, whatever its size.
        pixel_s: Seconds per pixel of the batch that is kept, padding included. That is every pixel
            n · H · W, unless the model is told to keep a window.
        halo_s: Seconds per pixel that is seen and not kept; None for a model that keeps all.
        strips_s: Seconds per call on strips, and per pixel of the strips; None for a model that
            computes no strips.

    Raises:
        ValueError: if `call_s` is negative, another value is not positive, or one is not finite.
    """

    call_s: float
    pixel_s: float
    halo_s: float | None = None
    strips_s: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.call_s < math.inf and 0 < self.pixel_s < math.inf):
            raise ValueError(
                "call_s must be at least 0 and pixel_s more, both finite; "
                f"they are {self.call_s} and {self.pixel_s}"
            )
        if self.halo_s is not None and not 0 < self.halo_s < math.inf:
            raise ValueError(f"halo_s must be more than 0 and finite; it is {self.halo_s}")
        if self.strips_s is not None:
            object.__setattr__(self, "strips_s", tuple(self.strips_s))
            call_s, pixel_s = self.strips_s
            BatchCost(call_s, pixel_s)

    def predict(self, pixels: int, halo_pixels: int = 0) -> float:
        """Predict the seconds of a call.

        Args:
            pixels: Number of pixels that are kept.
            halo_pixels: Number of pixels that are seen and not kept.
        """
        halo_s = self.pixel_s if self.halo_s is None else self.halo_s
        return self.call_s + self.pixel_s * pixels + halo_s * halo_pixels

    def predict_strips(self, pixels: int) -> float:
        """Predict the seconds of a call on strips; infinite if the model computes none.

        Args:
            pixels: Number of pixels of the strips; see `count_strip_pixels`.
        """
        if self.strips_s is None:
            return math.inf
        call_s, pixel_s = self.strips_s
        return call_s + pixel_s * pixels

    @property
    def call_pixels(self) -> float:
        """Number of pixels that cost as much as the fixed part of a call."""
        return self.call_s / self.pixel_s

    @classmethod
    def fit(cls, measurements: Sequence[Measurement]) -> BatchCost:
        """Fit a cost to measurements by least squares of relative errors.

        One measurement that took much longer than the others predict is left out, provided that the
        others still span the same range of pixels. So measure each size twice.

        Args:
            measurements: Pixels and seconds of calls of at least two sizes.

        Raises:
            ValueError: if all measurements have the same number of pixels, or a value is not
                possible.
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

    def fit_halo(self, measurements: Sequence[HaloMeasurement]) -> BatchCost:
        """Return the cost with the seconds of a pixel that is only seen.

        The median of what each measurement says, since one that was interrupted says too much. It
        is at most `pixel_s`.

        Args:
            measurements: Pixels and seconds of calls that keep a window; if there are none, the
                cost stays as it is.
        """
        if not measurements:
            return self
        halo_s = float(
            np.median(
                [
                    (seconds - self.predict(pixels)) / halo_pixels
                    for pixels, halo_pixels, seconds in measurements
                ]
            )
        )
        return replace(self, halo_s=min(max(halo_s, _MIN_PIXEL_S), self.pixel_s))

    def fit_strips(self, measurements: Sequence[Measurement]) -> BatchCost:
        """Return the cost with the seconds of calls on strips.

        Args:
            measurements: Pixels of strips and seconds; if there are none, the cost stays as it is.
        """
        if not measurements:
            return self
        cost = BatchCost.fit(measurements)
        return replace(self, strips_s=(cost.call_s, cost.pixel_s))


def _leave_one_out(
    measurements: Sequence[Measurement],
) -> Iterator[tuple[int, list[Measurement]]]:
    """Yield the index of each measurement with the other ones, if those span the same range."""
    span = min(measurements)[0], max(measurements)[0]
    for index in range(len(measurements)):
        rest = [other for position, other in enumerate(measurements) if position != index]
        # Any line fits two measurements of two sizes, whichever one is left out.
        if len(rest) > 2 and (min(rest)[0], max(rest)[0]) == span:
            yield index, rest


def _fit_relative(measurements: Sequence[Measurement]) -> BatchCost:
    pixels = np.array([pixels for pixels, _ in measurements], np.float64)
    seconds = np.maximum([seconds for _, seconds in measurements], _TICK_S)
    # Minimise Σ (call_s · u + pixel_s · v − 1)².
    u, v = 1 / seconds, pixels / seconds
    scale = pixels.max()
    (call_s, slope), *_ = np.linalg.lstsq(np.stack([u, v / scale], axis=1), np.ones_like(u))
    pixel_s = slope / scale
    # The sum is convex: if its minimum is out of bounds, the best allowed value lies on the bound.
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
