"""Canvas for views from above, with labels, and with directions that are turned against its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model.data.nodata import smooth_noise

Floats = NDArray[np.float32]
Color = Sequence[float] | Floats
Bools = NDArray[np.bool_]
Part = tuple[slice, slice]

_SCALE = 2
"""Pixels that are drawn for one of the picture, along each side, so that borders are smooth."""

_SHARPENING = 0.6
_SENSOR_NOISE = 2.0


class Box(NamedTuple):
    """Rectangle between places along and across, in pixels of the picture."""

    left: float
    top: float
    right: float
    bottom: float

    def shrink(self, by: float) -> Box:
        """Return the rectangle with its sides moved inwards."""
        return Box(self.left + by, self.top + by, self.right - by, self.bottom - by)

    def move(self, along: float, across: float) -> Box:
        """Return the rectangle at another place."""
        return Box(self.left + along, self.top + across, self.right + along, self.bottom + across)


class TownCanvas:
    """Canvas with an image and its labels.

    Args:
        rng: source of randomness.
        size: height and width of the picture in pixels.
        middle: row and column of the place 0, 0.
        angle: angle by which the directions along and across are turned, in radians.

    Attributes:
        rng: source of randomness.
        image: float32 (2 H, 2 W, 3).
        labels: uint8 (2 H, 2 W).
        along: float32 (2 H, 2 W), place of each pixel along, in pixels of the picture.
        across: float32 (2 H, 2 W), place of each pixel across.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        size: tuple[int, int],
        middle: tuple[float, float],
        angle: float,
    ) -> None:
        self.rng = rng
        self._size = (size[0] * _SCALE, size[1] * _SCALE)
        self._middle, self._cos, self._sin = middle, float(np.cos(angle)), float(np.sin(angle))
        self.image = np.zeros((*self._size, 3), np.float32)
        self.labels = np.zeros(self._size, np.uint8)
        y, x = np.mgrid[: self._size[0], : self._size[1]].astype(np.float32) / _SCALE
        dy, dx = y - middle[0], x - middle[1]
        self.along = np.asarray(dx * self._cos + dy * self._sin, np.float32)
        self.across = np.asarray(dy * self._cos - dx * self._sin, np.float32)
        self._grain = self.draw_noise(2.5)[..., None]

    def draw_noise(self, cell: float) -> Floats:
        """Draw noise with features of so many pixels of the picture; float32 (2 H, 2 W)."""
        return smooth_noise(self.rng, self._size, cell * _SCALE)

    def paint(self, where: Bools, color: Color, label: int, grain: float = 4.0) -> None:
        """Paint pixels.

        Args:
            where: bool (2 H, 2 W).
            color: red, green and blue, 0 to 255.
            label: class of the pixels.
            grain: deviation of the noise that the colour gets.
        """
        self._paint_part((slice(None), slice(None)), where, color, label, grain)

    def paint_box(self, box: Box, color: Color, label: int, grain: float = 4.0) -> None:
        """Paint a rectangle; arguments are those of `paint`."""
        part, inside = self._find(box)
        self._paint_part(part, inside, color, label, grain)

    def shade_box(self, box: Box, factor: float) -> None:
        """Multiply the brightness of a rectangle, whose labels stay."""
        part, inside = self._find(box)
        self.image[part][inside] *= factor

    def paint_disc(
        self, place: tuple[float, float], radius: float, color: Color, label: int
    ) -> None:
        """Paint a disc around a place along and across."""
        box = Box(*place, *place).shrink(-radius)
        part, _ = self._find(box)
        distance = np.hypot(self.along[part] - place[0], self.across[part] - place[1])
        self._paint_part(part, distance < radius, color, label, grain=10)

    def finish(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Scale the canvas down, sharpen it and add a sensor's noise.

        Returns:
            The picture, uint8 (H, W, 3), and its labels, uint8 (H, W).
        """
        height, width = (side // _SCALE for side in self._size)
        cells = self.image.reshape(height, _SCALE, width, _SCALE, 3).mean((1, 3))
        around = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
        shifted = [around[y : y + height, x : x + width] for y in range(3) for x in range(3)]
        cells += _SHARPENING * (cells - np.mean(shifted, axis=0))
        cells += self.rng.normal(0, _SENSOR_NOISE, (height, width, 1))
        image = np.clip(np.round(cells), 0, 255).astype(np.uint8)
        return image, self.labels[::_SCALE, ::_SCALE].copy()

    def _paint_part(
        self, part: Part, inside: Bools, color: Color, label: int, grain: float
    ) -> None:
        """Paint pixels of a part of the canvas; the other arguments are those of `paint`."""
        rough = grain * self._grain[part][inside]
        self.image[part][inside] = np.asarray(color, np.float32) + rough
        self.labels[part][inside] = label

    def _find(self, box: Box) -> tuple[Part, Bools]:
        """Return the rows and columns around a rectangle, and which of their pixels it covers."""
        corners = [
            (box.left, box.top), (box.right, box.top), (box.right, box.bottom),
            (box.left, box.bottom),
        ]  # fmt: skip
        points = [
            (
                _SCALE * (u * self._cos - v * self._sin + self._middle[1]),
                _SCALE * (u * self._sin + v * self._cos + self._middle[0]),
            )
            for u, v in corners
        ]
        low, high = np.min(points, axis=0), np.max(points, axis=0)
        left, top = (max(int(side), 0) for side in low)
        right = min(int(high[0]) + 1, self._size[1])
        bottom = min(int(high[1]) + 1, self._size[0])
        if right <= left or bottom <= top:
            return (slice(0), slice(0)), np.zeros((0, 0), np.bool_)
        plane = Image.new("1", (right - left, bottom - top))
        ImageDraw.Draw(plane).polygon([(x - left, y - top) for x, y in points], fill=1)
        return (slice(top, bottom), slice(left, right)), np.asarray(plane)
