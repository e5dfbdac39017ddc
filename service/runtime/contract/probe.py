"""Random images for a model, and its outputs on them, to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InferenceError
from lacuna.windows.window import Window
from service.runtime.protocol import Runtime

Images = NDArray[np.float32]
Masks = NDArray[np.bool_]

TOLERANCE = 1e-5
"""Largest difference of probabilities that counts as rounding."""


def draw_batch(
    runtime: Runtime, count: int, height: int, width: int, seed: int = 0
) -> tuple[Images, Masks]:
    """Draw random images and masks as the contract check does.

    Args:
        runtime: Runtime of the model that they are for.
        count: Number of images N.
        height: Largest height H in pixels; that of a tile if the model takes none so large.
        width: Largest width W in pixels.
        seed: Seed of the random numbers.

    Returns:
        float32 (N, H, W, C), and bool (N, H, W), True = valid.
    """
    probe = ModelProbe(runtime, seed)
    size = probe.limit(height, width)
    return probe.draw_images(count, *size), probe.draw_masks(count, *size)


class ModelProbe:
    """Source of random images for a model, and runner of the model.

    Args:
        runtime: Runtime of the model.
        seed: Seed of the random numbers.
    """

    def __init__(self, runtime: Runtime, seed: int) -> None:
        self.runtime = runtime
        self.manifest = runtime.manifest
        self.rng = np.random.default_rng(seed)
        self._white = {"uint8": 255, "uint16": 65535, "float32": 1}[self.manifest.image.dtype]

    def draw_images(self, n: int, height: int, width: int) -> Images:
        """Draw images with structure at several scales. Pure noise leaves most networks idle."""
        shape = (n, height, width, self.manifest.image.channels)
        coarse = self.rng.random((n, height // 8 + 1, width // 8 + 1, shape[-1]))
        blocks = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
        values = (0.6 * blocks + 0.4 * self.rng.random(shape)) * self._white
        return np.round(values).astype(np.float32) if self._white > 1 else values.astype(np.float32)

    def draw_masks(self, n: int, height: int, width: int) -> Masks:
        """Draw masks that are full, ragged and sparse in turn."""
        valid = np.array([1.0, 0.7, 0.3])[np.arange(n) % 3]
        return np.asarray(self.rng.random((n, height, width)) < valid[:, None, None])

    def limit(self, height: int, width: int) -> tuple[int, int]:
        """Return a size, or that of a tile if the model takes none so large."""
        tiles = self.manifest.tiles
        return (
            (height, width)
            if tiles is None
            else (min(height, tiles.height), min(width, tiles.width))
        )

    def draw_window(self, height: int, width: int) -> Window:
        """Draw a window of an image; every other side ends at the image's border."""
        sides = []
        for length in (height, width):
            first, last = sorted(self.rng.integers(0, length + 1, 2).tolist())
            first, last = [(first, last), (0, last), (first, length)][self.rng.integers(3)]
            sides.append((min(first, length - 1), max(last - first, 1)))
        (top, rows), (left, columns) = sides
        return Window(top, left, rows, columns)

    def draw_cells(self, n: int, height: int, width: int) -> Masks:
        """Draw masks of cells of the total stride, of which half, a tenth and none are valid."""
        cell = self.manifest.total_stride
        cells = self.rng.random((n, height // cell + 1, width // cell + 1))
        valid = cells < np.array([0.5, 0.1, 0.0])[np.arange(n) % 3, None, None]
        return valid.repeat(cell, axis=1).repeat(cell, axis=2)[:, :height, :width]

    def run(
        self, images: Images, masks: Masks, keep: Window | None = None, *, on_strips: bool = False
    ) -> Output:
        """Run the model for labels and probabilities."""
        options = {"on_strips": True} if on_strips else {"keep": keep}
        output = self.runtime.run(images, masks, probabilities=True, **options)
        if output.probabilities is None:
            raise InferenceError("the model must return probabilities; it returned none")
        return Output(output.labels, output.probabilities)


@dataclass(frozen=True)
class Output:
    """Output of a model for N images.

    Attributes:
        labels: uint8 (N, H, W).
        probabilities: float32 (N, H, W, K), of the K classes.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]

    def __getitem__(self, index: Any) -> Output:
        """Select images, rows and columns."""
        return Output(self.labels[index], self.probabilities[index])


def _differ(first: Output, second: Output) -> NDArray[np.bool_]:
    """Compare two outputs: bool (N, H, W), True = the pixels differ."""
    shift = np.abs(first.probabilities - second.probabilities).max(axis=-1)
    # Negated, so that a difference of NaN counts as different.
    return np.asarray((first.labels != second.labels) | ~(shift <= TOLERANCE))


def count_differing(first: Output, second: Output) -> int:
    """Count the pixels of two outputs whose labels or probabilities differ."""
    return int(np.count_nonzero(_differ(first, second)))
