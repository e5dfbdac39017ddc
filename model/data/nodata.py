"""Patterns of missing pixels.

Each pattern takes a random generator, a size and the fraction of pixels to lose, and returns the
missing ones: bool (H, W), True = missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BoolMap = NDArray[np.bool_]
FloatMap = NDArray[np.float32]
Pattern = Callable[[np.random.Generator, tuple[int, int], float], BoolMap]


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cell: float) -> FloatMap:
    """Draw noise whose features are about `cell` pixels wide.

    Args:
        rng: source of randomness.
        size: height and width in pixels.
        cell: distance of the random values that the noise interpolates, in pixels.

    Returns:
        float32 (H, W).
    """
    height, width = size
    coarse = rng.standard_normal((int(height / cell) + 3, int(width / cell) + 3))
    rows, columns = coarse.shape
    scaled = Image.fromarray(coarse.astype(np.float32)).resize(
        (int(columns * cell), int(rows * cell)), Image.Resampling.BICUBIC
    )
    top, left = (int(rng.integers(0, max(int(cell), 1))) for _ in range(2))
    return np.asarray(scaled)[top : top + height, left : left + width]


def _largest(field: FloatMap, fraction: float) -> BoolMap:
    """Return the given fraction of pixels where the field is largest."""
    if fraction <= 0:
        return np.zeros(field.shape, bool)
    if fraction >= 1:
        return np.ones(field.shape, bool)
    return np.asarray(field > np.quantile(field, 1 - fraction))


def _ramp(rng: np.random.Generator, size: tuple[int, int], slope: float) -> FloatMap:
    """Return the distance in pixels along a direction at most `slope` radians from an axis."""
    height, width = size
    angle = rng.uniform(-slope, slope) + rng.integers(0, 4) * np.pi / 2
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.asarray(y * np.cos(angle) + x * np.sin(angle), np.float32)


def clouds(rng: np.random.Generator, size: tuple[int, int], fraction: float) -> BoolMap:
    """Lose soft-edged patches of several sizes."""
    large = rng.uniform(0.25, 0.5) * max(size)
    field = smooth_noise(rng, size, large) + 0.5 * smooth_noise(rng, size, max(large / 3, 2))
    return _largest(field, fraction)


def stripes(rng: np.random.Generator, size: tuple[int, int], fraction: float) -> BoolMap:
    """Lose parallel bands, as a scanner with a failed line corrector does."""
    period = rng.uniform(10, 40)
    phase = (_ramp(rng, size, slope=0.5) + rng.uniform(0, period)) % period
    return np.asarray(phase < fraction * period)


def swath(rng: np.random.Generator, size: tuple[int, int], fraction: float) -> BoolMap:
    """Lose the pixels beside the recorded strip, on one side or on both."""
    ramp = _ramp(rng, size, slope=0.6)
    if rng.random() < 0.5:
        return _largest(ramp, fraction)
    middle = np.quantile(ramp, rng.uniform(0.3, 0.7))
    return _largest(np.abs(ramp - middle), fraction)


def dead_pixels(rng: np.random.Generator, size: tuple[int, int], fraction: float) -> BoolMap:
    """Lose single pixels, and some whole rows and columns."""
    in_lines = fraction * rng.uniform(0, 0.5) / 2
    rows, columns = rng.random(size[0]) < in_lines, rng.random(size[1]) < in_lines
    lines = rows[:, None] | columns[None, :]
    remaining = (fraction - lines.mean()) / max(1 - lines.mean(), 1e-9)
    return np.asarray(lines | (rng.random(size) < remaining))


def padding(rng: np.random.Generator, size: tuple[int, int], fraction: float) -> BoolMap:
    """Lose strips on the right and at the bottom, like the padding of a server's batch."""
    share = rng.random()
    height = round(size[0] * (1 - fraction) ** share)
    width = round(size[1] * (1 - fraction) ** (1 - share))
    missing = np.ones(size, bool)
    missing[:height, :width] = False
    return missing


PATTERNS: Mapping[str, Pattern] = MappingProxyType(
    {"clouds": clouds, "stripes": stripes, "swath": swath, "dead_pixels": dead_pixels}
)
"""Patterns for training. Other entries, or another order, would train other networks."""

PATTERNS_TO_COMPARE: Mapping[str, Pattern] = MappingProxyType({**PATTERNS, "padding": padding})


def draw_missing(rng: np.random.Generator, size: tuple[int, int], fraction: float) -> BoolMap:
    """Lose about `fraction` of the pixels by a pattern drawn at random.

    Args:
        rng: source of randomness.
        size: height and width in pixels.
        fraction: 0 to 1.

    Returns:
        bool (H, W), True = missing.
    """
    name = rng.choice(list(PATTERNS))
    return PATTERNS[name](rng, size, fraction)
