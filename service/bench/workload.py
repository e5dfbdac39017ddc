"""Synthetic images: their sizes, their fraction of valid pixels, the region of the missing ones.

Everything is drawn from a seed: a workload has the same pixels in every process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lacuna.sample import Sample

_SIZE = re.compile(r"(\d{1,5})(?:x(\d{1,5})|-(\d{1,5}))?")
_PATCH_PIXELS = 24


@dataclass(frozen=True)
class Sizes:
    """Size, or range of sizes from which height and width are drawn independently, log-uniformly.

    Attributes:
        low: smallest height and width in pixels.
        high: largest height and width in pixels; equal to `low` for a single size.

    Raises:
        ValueError: if a side is less than 1, or more than its upper bound.
    """

    low: tuple[int, int]
    high: tuple[int, int]

    def __post_init__(self) -> None:
        if not all(1 <= low <= high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(
                f"sizes must rise from at least 1; they go from {self.low} to {self.high}"
            )

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """Draw a height and a width in pixels."""
        height, width = (
            # Every whole number can be drawn, both bounds included.
            min(int(math.exp(rng.uniform(math.log(low), math.log(high + 1)))), high)
            for low, high in zip(self.low, self.high, strict=True)
        )
        return height, width


def parse_sizes(text: str) -> Sizes:
    """Parse a size or a range of sizes.

    Args:
        text: `512` for a square, `480x640` for height and width, `48-384` for a range.

    Raises:
        ValueError: if it has none of these forms.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"a size must be like 512, 480x640 or 48-384; it is {text}")
    first, second, upper = found.groups()
    low = (int(first), int(second or first))
    return Sizes(low, low if upper is None else (int(upper), int(upper)))


@dataclass(frozen=True)
class Workload:
    """Images to draw.

    Attributes:
        images: number of images.
        sizes: their sizes, taken in turn.
        valid: fractions of valid pixels from 0 to 1, each combined with every size.
        regions: regions of the missing pixels, of `REGIONS`, each combined with every fraction.
        channels: number of channels.
        seed: seed of everything that is drawn.

    Raises:
        ValueError: if a value is out of its range.
    """

    images: int
    sizes: tuple[Sizes, ...]
    valid: tuple[float, ...] = (1.0,)
    regions: tuple[str, ...] = ("side",)
    channels: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        lists = (self.sizes, self.valid, self.regions)
        if self.images < 1 or self.channels < 1 or not all(lists):
            raise ValueError(
                "a workload must have images, channels, sizes, valid fractions and regions; it "
                f"has {', '.join(map(str, (self.images, self.channels, *map(len, lists))))}"
            )
        if not all(0 <= fraction <= 1 for fraction in self.valid):
            raise ValueError(f"valid fractions must be from 0 to 1; they are {self.valid}")
        for region in self.regions:
            if region not in REGIONS:
                raise ValueError(f"region must be one of {', '.join(REGIONS)}; it is {region}")


def draw_samples(workload: Workload) -> list[Sample]:
    """Draw the images of a workload and their masks.

    Args:
        workload: images to draw.

    Returns:
        Samples uint8. Their values under invalid pixels are those of the complete image.
    """
    combinations = list(product(workload.regions, workload.valid, workload.sizes))
    samples = []
    for index in range(workload.images):
        # Each image has its own generator, so that a larger workload begins with the same images.
        rng = np.random.default_rng((workload.seed, index))
        region, valid, sizes = combinations[index % len(combinations)]
        size = sizes.draw(rng)
        image = _draw_image(rng, size, workload.channels)
        samples.append(Sample(image, draw_mask(rng, size, valid, region)))
    return samples


def draw_mask(
    rng: np.random.Generator, size: tuple[int, int], valid: float, region: str
) -> NDArray[np.bool_]:
    """Draw a mask of valid pixels.

    Args:
        rng: random generator.
        size: height and width in pixels.
        valid: fraction of valid pixels, exact to the pixel.
        region: region of the missing ones, one of `REGIONS`.

    Returns:
        bool (H, W), True = valid.
    """
    pixels = size[0] * size[1]
    missing = pixels - round(valid * pixels)
    if missing in (0, pixels):
        return np.full(size, missing == 0)
    order = REGIONS[region](rng, size).ravel()
    edge = np.partition(order, missing - 1)[missing - 1]
    mask = order > edge
    # On the edge, the first pixels are missing, so that the region stays in one piece.
    on_edge = np.flatnonzero(order == edge)
    mask[on_edge[missing - np.count_nonzero(order < edge) :]] = True
    return np.asarray(mask.reshape(size))


def _draw_image(
    rng: np.random.Generator, size: tuple[int, int], channels: int
) -> NDArray[np.uint8]:
    """Draw patches that differ in brightness and in texture, so that their labels differ too."""
    level = _draw_patches(rng, size, 30, 220)
    grain = _draw_patches(rng, size, 0, 90)
    noise = rng.random((*size, channels), np.float32) * 2 - 1
    return np.clip(level + grain * noise, 0, 255).astype(np.uint8)


def _draw_patches(
    rng: np.random.Generator, size: tuple[int, int], low: float, high: float
) -> NDArray[np.float32]:
    coarse = [-(-side // _PATCH_PIXELS) for side in size]
    values = rng.uniform(low, high, coarse).astype(np.float32)
    patches = values.repeat(_PATCH_PIXELS, axis=0).repeat(_PATCH_PIXELS, axis=1)
    return patches[: size[0], : size[1], None]


Order = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float32]]
"""Order in which the pixels of an image go missing: a number for each, the lowest first."""


def _scatter(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    return rng.random(size, np.float32)


def _from_left(_: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.broadcast_to(np.arange(size[1], dtype=np.float32), size)


def _from_a_side(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    quarters = int(rng.integers(4))
    turned = _from_left(rng, size if quarters % 2 == 0 else size[::-1])
    return np.rot90(turned, quarters)


def _beyond_a_slanted_edge(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    return _measure_across(size, rng.uniform(0, 2 * math.pi))


def _beside_a_swath(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the order that leaves a band of any direction, whose middle crosses the image's."""
    across = _measure_across(size, rng.uniform(0, math.pi))
    middle = rng.uniform(np.quantile(across, 0.3), np.quantile(across, 0.7))
    nearness: NDArray[np.float32] = -np.abs(across - np.float32(middle))
    return nearness


def _measure_across(size: tuple[int, int], angle: float) -> NDArray[np.float32]:
    """Return how far each pixel lies in a direction, in pixels."""
    y, x = np.ogrid[: size[0], : size[1]]
    return (y * math.sin(angle) + x * math.cos(angle)).astype(np.float32)


def _from_the_centre(_: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    y, x = np.ogrid[: size[0], : size[1]]
    y, x = abs(y - (size[0] - 1) / 2) / size[0], abs(x - (size[1] - 1) / 2) / size[1]
    return np.maximum(y, x).astype(np.float32)


REGIONS: Mapping[str, Order] = MappingProxyType(
    {
        "side": _from_a_side,
        "left": _from_left,
        "slant": _beyond_a_slanted_edge,
        "swath": _beside_a_swath,
        "centre": _from_the_centre,
        "scattered": _scatter,
    }
)
"""Regions of missing pixels: from one of the four sides, from the left, beyond a slanted edge, on
both sides of a slanted swath, in a rectangle around the centre, or scattered."""
