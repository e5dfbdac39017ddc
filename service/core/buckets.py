"""The ladder of sizes that windows are padded to.

A model is called with few shapes, not with every size that ever arrives: what a runtime keeps for
each shape stays bounded, and windows of nearly the same size can share a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.sample import Sample


@dataclass(frozen=True)
class Ladder:
    """Sides in pixels that a window may be padded to: 1·m, 2·m, … growing geometrically.

    Attributes:
        multiple: m, the model's total stride; every side is a multiple of it.
        growth: how much larger the next side may be. At 1.125 padding adds 6 % to a side on
            average, 12.5 % at most (where m is small against it), and 8192 pixels take about 50
            rungs of 8.

    Raises:
        ValueError: if `multiple` is less than 1, or `growth` is not more than 1.
    """

    multiple: int
    growth: float = 1.125

    def __post_init__(self) -> None:
        if self.multiple < 1 or self.growth <= 1:
            raise ValueError(
                "multiple must be at least 1 and growth more than 1; "
                f"they are {self.multiple} and {self.growth}"
            )

    def choose_side(self, side: int) -> int:
        """Give the smallest rung that is at least `side` pixels."""
        rung = 1
        while rung * self.multiple < side:
            rung = max(rung + 1, int(rung * self.growth))
        return rung * self.multiple

    def choose_bucket(self, size: tuple[int, int]) -> tuple[int, int]:
        """Give the height and width that a window of this size is padded to."""
        return self.choose_side(size[0]), self.choose_side(size[1])


def assemble(
    samples: Sequence[Sample], bucket: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Put samples into one batch, each in the top left corner of its canvas.

    Args:
        samples: none larger than the bucket, all of the same number of channels.
        bucket: height and width of the canvases.

    Returns:
        images float32 (N, H, W, C) and masks bool (N, H, W), 0 and False beside each sample.
    """
    channels = samples[0].image.shape[2]
    images = np.zeros((len(samples), *bucket, channels), np.float32)
    masks = np.zeros((len(samples), *bucket), np.bool_)
    for index, sample in enumerate(samples):
        height, width = sample.size
        images[index, :height, :width] = sample.image
        masks[index, :height, :width] = sample.mask
    return images, masks
