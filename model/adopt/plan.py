"""Plan of the graph around a network, decided from what was found and told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.adopt.layout import Layout
from model.adopt.measuring import Measured
from model.adopt.options import NEAREST_CELL, AdoptionOptions, Scaling

UNLIMITED_RADIUS = 8192
"""Receptive radius of a manifest that stands for the whole image."""
_LARGEST_OVERLAP = 4
"""The overlap of tiles is at most this part of their side, if nobody asked for another."""


@dataclass(frozen=True)
class WrappingPlan:
    """Plan of the graph around a network.

    Attributes:
        layout: layout of the network.
        multiple: height and width are padded to multiples of it, with missing pixels.
        factor: pixels of the image for one of the output, along each side.
        dtype: type of the image that the network takes.
        scaling: of raw values.
        meaning: one of `ACTIVATIONS`.
        options: what was told.
    """

    layout: Layout
    multiple: int
    factor: int
    dtype: str
    scaling: Scaling
    meaning: str
    options: AdoptionOptions

    @property
    def classes(self) -> int:
        """Number of classes: two for one output."""
        return count_classes(self.layout.outputs)


def count_classes(outputs: int) -> int:
    """Return the number of classes of so many outputs."""
    return 2 if outputs == 1 else outputs


def find_grid(measured: Measured, options: AdoptionOptions) -> tuple[int, int]:
    """Return the total stride and the receptive radius of the wrapped network, in pixels.

    The radius is a multiple of the stride, or `UNLIMITED_RADIUS`.
    """
    if measured.total_stride is None or measured.radius is None or options.fill == "mean":
        return measured.total_stride or measured.cell, UNLIMITED_RADIUS
    stride, radius = measured.total_stride, measured.radius
    if measured.factor > 1 and options.upsampling == "bilinear":
        radius += measured.factor
    if options.fill == "nearest":
        stride = math.lcm(stride, NEAREST_CELL)
        radius += NEAREST_CELL
    return round_radius(stride, radius)


def round_radius(stride: int, radius: int | None) -> tuple[int, int]:
    """Return a total stride and a receptive radius, None if it has no limit, as `find_grid`."""
    if radius is None:
        return stride, UNLIMITED_RADIUS
    return stride, min(-(-radius // stride) * stride, UNLIMITED_RADIUS)


def choose_overlap(
    size: tuple[int, int], stride: int, radius: int, options: AdoptionOptions
) -> int:
    """Choose the overlap of tiles of a fixed size: two radii, unless that is much of a tile.

    Args:
        size: height and width of a tile.
        stride: total stride of the network in pixels, on whose multiples tiles begin.
        radius: receptive radius of the network in pixels, or more than a tile.
        options: what was told.
    """
    if options.overlap is not None:
        return options.overlap
    return min(2 * radius, min(size) // _LARGEST_OVERLAP // stride * stride)
