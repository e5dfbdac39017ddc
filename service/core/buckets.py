"""Ladder of the sizes that windows are padded to.

A model is called with few shapes, not with every size that arrives. So the memory that a runtime
keeps per shape is bounded, and windows of similar size can share a call.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lacuna.sample import Sample

_MIN_GROWTH = 1.01


@dataclass(frozen=True)
class Ladder:
    """Sides in pixels that windows are padded to.

    The sides begin with 1·m, 2·m, … The step between them grows with the side, up to `max_step`.
    This bounds the padding of large windows, which costs time on every call, while a new shape
    costs some milliseconds only once. Steps double, and each side is a multiple of the step that
    leads to it, so common image sizes such as 256, 512 or 640 need no padding.

    Attributes:
        multiple: Total stride m of the model; every side is a multiple of it.
        growth: Largest ratio of a side to the previous one. At 1.2, padding adds 6 % to a side on
            average and 20 % at most (unless m is large against the side).
        max_step: Largest step in pixels, rounded down to a multiple of m, and at least m. With 32,
            m = 8 and a growth of 1.2 there are 18 sides up to 256 and 42 up to 1024; above 256 they
            are multiples of 32.

    Raises:
        ValueError: if `multiple` or `max_step` is less than 1, or `growth` less than 1.01.
    """

    multiple: int
    growth: float = 1.2
    max_step: int = 32

    def __post_init__(self) -> None:
        if self.multiple < 1 or self.growth < _MIN_GROWTH or self.max_step < 1:
            raise ValueError(
                f"multiple must be at least 1, growth at least {_MIN_GROWTH} and max_step at least "
                f"1; they are {self.multiple}, {self.growth} and {self.max_step}"
            )

    @cached_property
    def _step(self) -> int:
        """Largest step between sides, in pixels."""
        return max(1, self.max_step // self.multiple) * self.multiple

    @cached_property
    def _growing(self) -> tuple[int, ...]:
        """Sides up to the first one that is followed by the largest step."""
        rungs = [1]
        while True:
            step = max(1, int(rungs[-1] * self.growth) - rungs[-1])
            if step * self.multiple >= self._step:
                return tuple(rung * self.multiple for rung in rungs)
            doubled = 1 << (step.bit_length() - 1)
            rungs.append((rungs[-1] // doubled + 1) * doubled)

    def choose_side(self, side: int) -> int:
        """Return the smallest side of at least `side` pixels."""
        growing = self._growing
        if side <= growing[-1]:
            return growing[bisect_left(growing, side)]
        step = self._step
        return (side + step - 1) // step * step

    def choose_bucket(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width that a window of this size is padded to."""
        return self.choose_side(size[0]), self.choose_side(size[1])

    def rungs(self, limit: int) -> tuple[int, ...]:
        """Return the sides of at most `limit` pixels, ascending."""
        growing = tuple(side for side in self._growing if side <= limit)
        return growing + tuple(
            range(self.choose_side(self._growing[-1] + 1), limit + 1, self._step)
        )


def assemble(
    samples: Sequence[Sample],
    bucket: tuple[int, int],
    corners: Sequence[tuple[int, int]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Assemble samples into one batch, each on a canvas of its own.

    Invalid pixels become 0 here. A sample's image may hold any value under its mask, including NaN,
    and none of these values reaches the batch.

    Args:
        samples: At least one sample; none is larger than the bucket, and all have the same number
            of channels.
        bucket: Height and width of the canvases, in pixels.
        corners: Row and column of the canvas at which each sample begins; None for the top left.

    Returns:
        Images float32 (N, H, W, C) and masks bool (N, H, W), 0 and False outside each sample.

    Raises:
        ValueError: if a sample does not fit.
    """
    n, channels = len(samples), samples[0].image.shape[2]
    # Not zeros: an allocator may ask the system for each new, and the system clears each page.
    images = np.empty((n, *bucket, channels), np.float32)
    masks = np.empty((n, *bucket), np.bool_)
    for index, sample in enumerate(samples):
        height, width = sample.size
        top, left = corners[index] if corners else (0, 0)
        bottom, right = top + height, left + width
        for canvas in (images[index], masks[index]):
            canvas[:top] = canvas[bottom:] = 0
            canvas[top:bottom, :left] = canvas[top:bottom, right:] = 0
        _put(sample, images[index, top:bottom, left:right])
        masks[index, top:bottom, left:right] = sample.mask
    return images, masks


def _put(sample: Sample, canvas: NDArray[np.float32]) -> None:
    canvas[...] = sample.image
    if sample.mask.all():
        return
    # Bitwise, since NaN · 0 is NaN. By channel, since broadcasting over a short last axis is
    # slow. This takes 1 ns per value; a masked copy with a ragged mask takes 4 ns.
    bits, kept = canvas.view(np.int32), -sample.mask.astype(np.int32)
    for channel in range(bits.shape[2]):
        bits[:, :, channel] &= kept
