"""Model whose output changes when an image is cropped off its grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.sample import Sample, Segmentation


@dataclass(frozen=True)
class GriddedModel:
    """Answers from whole cells of a grid that starts at its input's corner, as a real network does.

    A pixel's answer depends on the valid pixels of its own cell and of those around it, each by
    where it stands in its cell. Sums are of whole numbers: exact in whatever order they are added.

    Attributes:
        total_stride: the cells' side.
        reach: how many cells on every side of a pixel's own it depends on.
    """

    total_stride: int
    reach: int

    @property
    def halo(self) -> int:
        """Halo in pixels, a multiple of the total stride."""
        return self.reach * self.total_stride

    def answer(self, sample: Sample) -> Segmentation:
        """Return labels 0 to 250 and two probabilities."""
        side, (height, width) = self.total_stride, sample.size
        rows, columns = np.arange(height) // side, np.arange(width) // side
        inside = np.arange(height)[:, None] % side * side + np.arange(width) % side
        values = (sample.image[:, :, 0].astype(np.int64) + 1) * (inside * 7 + 3)
        cells = np.zeros((rows[-1] + 1, columns[-1] + 1), np.int64)
        np.add.at(cells, (rows[:, None], columns), np.where(sample.mask, values, 0))
        seen = self._sum_around(cells)[rows[:, None], columns] * (inside + 1)
        labels = np.where(sample.mask, seen % 251, 255).astype(np.uint8)
        scores = np.stack([seen % 1013, seen % 17], axis=2).astype(np.float32)
        return Segmentation(labels, scores * sample.mask[:, :, None])

    def _sum_around(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Add up the cells around each, every place with a weight of its own."""
        height, width = cells.shape
        padded = np.pad(cells, self.reach)
        total = np.zeros_like(cells)
        for weight, (row, column) in enumerate(np.ndindex(2 * self.reach + 1, 2 * self.reach + 1)):
            total += padded[row : row + height, column : column + width] * (weight * weight + 1)
        return total


def draw_mask(size: tuple[int, int], seed: int, scale: int, valid: float) -> NDArray[np.bool_]:
    """Draw a mask (H, W) of areas about `scale` pixels wide, with some single pixels turned over.

    Args:
        size: height and width.
        seed: of everything random.
        scale: of the areas, in pixels.
        valid: about which fraction of the areas is valid.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    areas = rng.random((height // scale + 1, width // scale + 1)) < valid
    mask = areas.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width]
    return np.asarray(mask ^ (rng.random(size) < rng.choice([0, 0, 0.002])))
