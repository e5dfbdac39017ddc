"""Comparison of an image with the images that a model was trained on.

An image is unlike them if, in one of its channels,

- its mean is outside `tile_mean` by more than half of `deviation`, or
- its deviation is less than an eighth of the lowest `tile_deviation`, or
- its deviation is more than twice the highest `tile_deviation` and twice `deviation`.

An image of the training data is none of these: its mean is a mean of those of its tiles. Images in
other units, such as 0 to 1 instead of 0 to 255, and nearly black ones are.

A few values of the training data may be far away from the others, and statistics leave them out.
Such values of an image do not make it unlike: if it is, it is compared once more with those within
`minimum` and `maximum` moved to the range around `low` and `high` (`lacuna.appearance.outliers`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.outliers import surround
from lacuna.appearance.sampling import sample_values
from lacuna.appearance.statistics import TILE_SIDE, ChannelStatistics, ImageStatistics
from lacuna.sample import Sample

UNLIKE_TRAINING = "unlike_training"
"""Code of the warning about such an image."""

FEWEST_PIXELS = TILE_SIDE**2
"""Smallest number of valid pixels that are compared."""

_SAMPLED_PIXELS = 256

_ROUNDING = 1e-4
"""Relative error of statistics of five digits, and more."""


class AnswerWarning(NamedTuple):
    """Warning about an answer that may be wrong.

    Attributes:
        code: Stable name of the kind, for programs.
        message: One or two sentences for people, in ASCII.
    """

    code: str
    message: str


def write_warnings(warnings: Sequence[AnswerWarning]) -> str:
    """Write warnings as a JSON array of objects, in ASCII, as headers need it."""
    return json.dumps([warning._asdict() for warning in warnings])


class FamiliarRange:
    """Range of means and deviations that a model is familiar with.

    Args:
        statistics: Statistics of each channel of the training data.
    """

    def __init__(self, statistics: Sequence[ChannelStatistics]) -> None:
        self._statistics = statistics
        self._limits = [_find_limits(learnt) for learnt in statistics]
        names = ("minimum", "low", "high", "maximum")
        least, low, high, most = (
            np.array([getattr(learnt, name) for learnt in statistics]) for name in names
        )
        self._near = surround(low, high)
        self._least, self._most = least - _ROUNDING * abs(least), most + _ROUNDING * abs(most)

    def check(self, sample: Sample) -> str:
        """Return how a sample differs from the training data; empty if it does not.

        Args:
            sample: Image of the model's number of channels.
        """
        if sample.valid_pixels < FEWEST_PIXELS:
            return ""
        values = sample_values(sample.image, sample.mask, _SAMPLED_PIXELS, sample.valid_pixels)
        # Few operations, because this is done for every request. In float64 the difference of two
        # squares is as exact as float32 values are.
        numbers, count = np.ascontiguousarray(values.T, np.float64), len(values)
        means = [total / count for total in np.add.reduce(numbers, axis=1).tolist()]
        squares = [total / count for total in np.vecdot(numbers, numbers).tolist()]
        variances = [
            max(square - mean * mean, 0.0) for square, mean in zip(squares, means, strict=True)
        ]
        difference = self._compare(means, variances)
        return difference if difference and self._is_unlike_nearby(values) else ""

    def check_image(self, image: ImageStatistics) -> str:
        """Return how a measured image differs from the training data; empty if it does not.

        Args:
            image: Statistics of one channel, or of the model's number of channels.
        """
        if image.pixels < FEWEST_PIXELS:
            return ""
        repeats = len(self._limits) // len(image.mean)
        difference = self._compare(image.mean.tolist() * repeats, image.variance.tolist() * repeats)
        return difference if difference and self._is_unlike_nearby(image.values) else ""

    def _is_unlike_nearby(self, values: NDArray[Any]) -> bool:
        """Return whether values are unlike, if those as far away as in training are moved nearer.

        Args:
            values: numbers (n, C), or (n, 1) for the same in each channel.
        """
        is_known = (values >= self._least) & (values <= self._most)
        moved = np.where(is_known, self._near.move(values), values)
        return bool(self._compare(moved.mean(axis=0).tolist(), moved.var(axis=0).tolist()))

    def _compare(self, means: Sequence[float], variances: Sequence[float]) -> str:
        found = zip(self._limits, means, variances, strict=True)
        for channel, (limits, mean, variance) in enumerate(found):
            least_mean, most_mean, least_variance, most_variance = limits
            if not (
                least_mean <= mean <= most_mean and least_variance <= variance <= most_variance
            ):
                return self._describe(channel, mean, math.sqrt(variance))
        return ""

    def _describe(self, channel: int, mean: float, deviation: float) -> str:
        learnt = self._statistics[channel]
        low, high = learnt.tile_mean
        return (
            f"in channel {channel} its mean is {mean:.3g} and its deviation {deviation:.3g}; parts "
            f"of training images have means of {low:.3g} to {high:.3g}, and all together a "
            f"deviation of {learnt.deviation:.3g}"
        )


class _Limits(NamedTuple):
    least_mean: float
    most_mean: float
    least_variance: float
    most_variance: float


def _find_limits(learnt: ChannelStatistics) -> _Limits:
    return _Limits(
        learnt.tile_mean[0] - learnt.deviation / 2,
        learnt.tile_mean[1] + learnt.deviation / 2,
        (learnt.tile_deviation[0] / 8) ** 2,
        (2 * max(learnt.tile_deviation[1], learnt.deviation)) ** 2,
    )


def warn_unlike_training(
    samples: Sequence[Sample], familiar: FamiliarRange | None
) -> tuple[AnswerWarning, ...]:
    """Compare the images of a request with the training data.

    Args:
        samples: Images, at least one.
        familiar: Range that the model is familiar with; None if it is not known.

    Returns:
        One warning for all images that are unlike the training data; none if there are none.
    """
    if familiar is None:
        return ()
    texts = [familiar.check(sample) for sample in samples]
    if not any(texts):
        return ()
    found = [(index, text) for index, text in enumerate(texts) if text]
    first, text = found[0]
    which = "the image" if len(samples) == 1 else f"image {first}"
    more = f" ({len(found)} of {len(samples)} images are)" if len(samples) > 1 else ""
    return (
        AnswerWarning(
            UNLIKE_TRAINING,
            f"{which} is unlike the images that the model was trained on{more}: {text}. The labels "
            "may be wrong: check the units of the values",
        ),
    )
