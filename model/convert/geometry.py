"""Where the pixels of feature maps lie on the image, and which pixels they depend on.

Every map of a converted network covers the whole canvas, in cells of its stride. Pixel i of the
same map in the original network is cell i + offset of this one: padding and cropping change the
offset alone. (What was padding is missing.) One axis at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.ops.convolution import taps_of_phases

Pair = tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """Grid of a feature map.

    Attributes:
        stride: side of a cell, in pixels of the image.
        offset: cell of the original map's first pixel, vertical and horizontal.
        first: first pixel of the image that a cell depends on, counted from the cell's own first
            one; vertical and horizontal.
        last: the last one.
    """

    stride: int = 1
    offset: Pair = (0, 0)
    first: Pair = (0, 0)
    last: Pair = (0, 0)

    def shift(self, cells: Pair) -> Grid:
        """Return the grid of a map whose first pixels are cropped, or padded if negative."""
        return Grid(self.stride, _add(self.offset, cells), self.first, self.last)

    def unite(self, other: Grid) -> Grid:
        """Return the grid of what depends on both, which have the same cells."""
        first = min(self.first[0], other.first[0]), min(self.first[1], other.first[1])
        last = max(self.last[0], other.last[0]), max(self.last[1], other.last[1])
        return Grid(self.stride, self.offset, first, last)

    @property
    def radius(self) -> int:
        """Largest distance, along an axis, of a pixel that a cell's first pixel depends on."""
        return max(*(-first for first in self.first), *self.last)


@dataclass(frozen=True)
class Window:
    """Windows of a layer; see `model.layers.windows`.

    Attributes:
        kernel_size: height and width.
        stride: cells of the input for one of the output.
        before: cells of the first window before the canvas.
        dilation: of the kernel, vertical and horizontal.
    """

    kernel_size: Pair
    stride: int
    before: Pair
    dilation: Pair = (1, 1)

    @property
    def is_cell(self) -> bool:
        """Whether the windows tile the canvas."""
        return self.kernel_size == (self.stride, self.stride) and self.before == (0, 0)


def slide(
    grid: Grid, kernel_size: Pair, stride: int, padding: str, dilation: Pair = (1, 1)
) -> tuple[Window, Grid]:
    """Place the windows of a layer on the canvas.

    TensorFlow's SAME padding is taken as for sides that are multiples of the stride. An output
    belongs to the cell that its window is centred in, as nearly as may be.

    Args:
        grid: of the input.
        kernel_size: height and width.
        stride: of the layer.
        padding: `"same"` or `"valid"`.
        dilation: of the kernel.

    Returns:
        The windows, and the grid of the output.
    """
    befores, moves, firsts, lasts = [], [], [], []
    own_last = grid.stride * stride - 1  # the mask of a cell depends on all of its pixels
    for axis in range(2):
        span = (kernel_size[axis] - 1) * dilation[axis] + 1
        start = grid.offset[axis] - (max(span - stride, 0) // 2 if padding == "same" else 0)
        move = math.ceil((start - (stride - span) / 2) / stride - 0.5)
        start -= stride * move
        befores.append(-start)
        moves.append(move)
        firsts.append(min(0, grid.first[axis] + start * grid.stride))
        lasts.append(max(own_last, grid.last[axis] + (start + span - 1) * grid.stride))
    window = Window(kernel_size, stride, (befores[0], befores[1]), dilation)
    offset, first, last = (moves[0], moves[1]), (firsts[0], firsts[1]), (lasts[0], lasts[1])
    return window, Grid(grid.stride * stride, offset, first, last)


def refine(grid: Grid, factor: int, reads: list[list[int]], move: Pair = (0, 0)) -> Grid:
    """Return the grid of an upsampled map.

    Args:
        grid: of the input, whose stride the factor divides.
        factor: cells of the output for one of the input.
        reads: for each phase in a cell, the neighbours that it reads: 0 for the own cell.
        move: cells by which the output is cropped before its first pixel.
    """
    fine = grid.stride // factor
    ways = [
        neighbour * grid.stride - phase * fine
        for phase, neighbours in enumerate(reads)
        for neighbour in neighbours
    ]
    first = grid.first[0] + min(ways), grid.first[1] + min(ways)
    last = grid.last[0] + max(ways), grid.last[1] + max(ways)
    offset = grid.offset[0] * factor + move[0], grid.offset[1] * factor + move[1]
    return Grid(fine, offset, first, last)


def nearest_reads(factor: int) -> list[list[int]]:
    """Return what each phase reads of a map that is repeated."""
    return [[0]] * factor


def linear_reads(factor: int) -> list[list[int]]:
    """Return what each phase reads of a map that is interpolated bilinearly."""
    return [[0, (2 * phase + 1 > factor) - (2 * phase + 1 < factor)] for phase in range(factor)]


def transposed_reads(kernel: int, stride: int) -> list[list[int]]:
    """Return what each phase reads in a transposed convolution."""
    taps = taps_of_phases(kernel, stride).max(axis=2)
    neighbours = taps.shape[0]
    return [
        [at - neighbours // 2 for at in range(neighbours) if taps[at, phase]]
        for phase in range(stride)
    ]


def _add(one: Pair, other: Pair) -> Pair:
    return one[0] + other[0], one[1] + other[1]
