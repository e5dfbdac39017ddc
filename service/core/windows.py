"""Which parts of an image are worth computing, and how their answers make the whole again.

A model's answer for a pixel depends on the valid pixels within its halo, and on where the pixel
stands on the model's grid. So a cut of an image is answered as in the whole wherever the cut holds
every valid pixel within the halo, if it starts on the grid: what is empty need not be computed, and
nothing is blended where parts meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.sample import INVALID_LABEL, Sample, Segmentation
from service.core.cells import Box, Cells, find_valid_cells
from service.core.splitting import Rates, split

# Of a pixel: whatever prices say, more of them never cost less.
_LEAST_S = 1e-15
# Of an image's longer side: what each worker may take, halos included, for sharing to be worth it.
_MOST_SHARE = 0.75
# So many are planned in 50 ms and 20 MB: 8192 × 8192 pixels at a total stride of 8.
_MAX_CELLS = 1 << 20


class Window(NamedTuple):
    """A rectangle of an image, in pixels.

    Attributes:
        top: first row.
        left: first column.
        height: number of rows.
        width: number of columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


class Part(NamedTuple):
    """What a model is given at once, and what is wanted of its answer; both in the image's pixels.

    Attributes:
        cut: what the model sees.
        keep: what is kept of its answer; lies inside the cut.
    """

    cut: Window
    keep: Window


@dataclass(frozen=True)
class Tiling:
    """How images may be cut for a model.

    Attributes:
        total_stride: of the model; cuts start on multiples of it.
        halo: the model's receptive radius in pixels, rounded up to a multiple of `total_stride`.
        max_pixels: of a cut. The default is a little more than 1136², a square of 1024² with a halo
            of 56 around it, and bounds what a window takes in memory.
        split_pixels: the same of an image that takes several cuts in any case. Smaller, since small
            images wait for a cut that is being run; with the default half as long, while an image
            of 4096² takes 7 % longer.

    Raises:
        ValueError: if `total_stride` or a number of pixels is less than 1, or `halo` is negative or
            no multiple of `total_stride`.
    """

    total_stride: int
    halo: int
    max_pixels: int = 1_300_000
    split_pixels: int = 720_000

    def __post_init__(self) -> None:
        if min(self.total_stride, self.max_pixels, self.split_pixels) < 1:
            raise ValueError(
                "total_stride, max_pixels and split_pixels must be at least 1; they are "
                f"{self.total_stride}, {self.max_pixels} and {self.split_pixels}"
            )
        if self.halo < 0 or self.halo % self.total_stride:
            raise ValueError(
                "halo must be a multiple of total_stride, 0 or more; "
                f"they are {self.halo} and {self.total_stride}"
            )

    @property
    def limit(self) -> int:
        """Pixels of the largest cut: `max_pixels`, but one cell and its halo always fit."""
        return int(max(self.max_pixels, (self.total_stride + 2 * self.halo) ** 2))


def find_valid_box(mask: NDArray[np.bool_], total_stride: int) -> Window | None:
    """Find the smallest window that holds every valid pixel and starts on the model's grid.

    Cutting there changes no answer: what is cut off is invalid, the model treats its input's border
    as invalid too, and every cell of its coarsest level stays where it was.

    Args:
        mask: bool (H, W), True = valid.
        total_stride: of the model; the window's first row and column are multiples of it.

    Returns:
        The window, or None where nothing is valid.
    """
    if np.count_nonzero(mask) == mask.size:  # as most are, and seen at a glance
        return Window(0, 0, *mask.shape)
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    top = int(rows[0]) // total_stride * total_stride
    left = int(columns[0]) // total_stride * total_stride
    return Window(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)


def plan_windows(
    mask: NDArray[np.bool_],
    tiling: Tiling,
    price: Callable[[int, int], float],
    workers: int = 1,
) -> list[Part]:
    """Choose the parts of an image that a model must compute.

    The box of all valid pixels is split where it is too large, or where parts that leave out empty
    areas are cheaper together, halos included. Where several workers have nothing else to do it is
    split between them, if each then takes much less time than one would for all.

    Args:
        mask: bool (H, W), True = valid.
        tiling: how the image may be cut.
        price: gives the seconds that a cut of some height and width takes by itself; asked often.
        workers: how many could begin at once.

    Returns:
        Parts whose keeps are disjoint and hold every valid pixel, from the top down; none where
        nothing is valid. For one worker all of them together are priced no higher than the box of
        all valid pixels, if that is not too large for one cut.
    """
    box = find_valid_box(mask, tiling.total_stride)
    if box is None:
        return []
    if max(box.height, box.width) <= tiling.total_stride + tiling.halo:
        # Every pixel may depend on every other.
        return [Part(box, box)]
    inside = mask[box.slices]
    tiling = _coarsen(_bound(tiling, box, workers), box)
    stride = tiling.total_stride
    rates = _rate(tiling, box, price)
    if box.height * box.width <= tiling.limit:
        whole_s = price(box.height, box.width)
        valid = np.count_nonzero(inside) / stride**2
        if not rates.could_gain(whole_s, valid):
            return [Part(box, box)]
    pieces = split(Cells(find_valid_cells(inside, stride), rates.halo), rates)
    if len(pieces) == 1:
        return [Part(box, box)]
    return sorted(
        Part(_place(piece.cut, box, stride), _place(piece.keep, box, stride)) for piece in pieces
    )


def _bound(tiling: Tiling, box: Window, workers: int) -> Tiling:
    """Bound cuts further than they must be.

    A box that takes several in any case takes smaller ones, since small images wait for one that
    is being run. And a box falls into one for each worker, unless that is mostly halo.
    """
    if box.height * box.width > tiling.limit:
        return replace(tiling, max_pixels=min(tiling.max_pixels, tiling.split_pixels))
    short, long = sorted((box.height, box.width))
    share = -(-long // workers) + 2 * tiling.halo
    if share > _MOST_SHARE * long:
        return tiling
    return replace(tiling, max_pixels=min(tiling.max_pixels, share * short))


def _coarsen(tiling: Tiling, box: Window) -> Tiling:
    """Plan a very large box in larger cells: they are made of whole ones, so that is as exact."""
    while _count_cells(box, tiling.total_stride) > _MAX_CELLS:
        stride = 2 * tiling.total_stride
        halo = -(-tiling.halo // stride) * stride
        coarser = replace(tiling, total_stride=stride, halo=halo)
        if coarser.limit > tiling.limit:
            break
        tiling = coarser
    return tiling


def _count_cells(box: Window, side: int) -> int:
    return -(-box.height // side) * -(-box.width // side)


def _rate(tiling: Tiling, box: Window, price: Callable[[int, int], float]) -> Rates:
    """Tell in cells what decides about splitting a box."""
    stride, limit = tiling.total_stride, tiling.limit
    call_s = price(stride, stride)
    height = min(box.height, math.isqrt(limit))
    width = min(box.width, limit // height)
    pixel_s = (price(height, width) - call_s) / (height * width)

    def price_cut(cut: Box) -> float:
        window = _place(cut, box, stride)
        fits = window.height * window.width <= limit
        return price(window.height, window.width) if fits else math.inf

    return Rates(
        price=price_cut,
        call_s=call_s,
        cell_s=max(_LEAST_S, pixel_s) * stride**2,
        limit=limit // stride**2,
        halo=tiling.halo // stride,
    )


def _place(cells: Box, box: Window, stride: int) -> Window:
    """Give the window of cells that are counted from a box, and end where it ends."""
    top, left = cells.top * stride, cells.left * stride
    bottom, right = min(cells.bottom * stride, box.height), min(cells.right * stride, box.width)
    return Window(box.top + top, box.left + left, bottom - top, right - left)


def cut(sample: Sample, window: Window) -> Sample:
    """Take a window of a sample, as views."""
    return Sample(sample.image[window.slices], sample.mask[window.slices])


def blank(size: tuple[int, int], classes: int | None) -> Segmentation:
    """Make the answer for an image of which nothing is known yet, to paste parts into.

    Args:
        size: height and width.
        classes: number of classes K if probabilities are wanted, else None.
    """
    labels = np.full(size, INVALID_LABEL, np.uint8)
    return Segmentation(labels, None if classes is None else np.zeros((*size, classes), np.float32))


def paste(whole: Segmentation, part: Part, answer: Segmentation) -> None:
    """Put what is kept of a part's answer in its place, leaving all else alone.

    Args:
        whole: the answer for the image, which is changed.
        part: which of its parts this is.
        answer: for the part's cut, and of its size.

    Raises:
        ValueError: if the answer has another size, or lacks the probabilities that the whole has.
    """
    size = part.cut.height, part.cut.width
    if answer.labels.shape != size:
        raise ValueError(
            f"an answer must be of its cut's size, {size}; it is {answer.labels.shape}"
        )
    if whole.probabilities is not None and answer.probabilities is None:
        raise ValueError("an answer must hold probabilities where the whole does; it has none")
    window = Window(part.keep.top - part.cut.top, part.keep.left - part.cut.left, *part.keep[2:])
    whole.labels[part.keep.slices] = answer.labels[window.slices]
    if whole.probabilities is not None and answer.probabilities is not None:
        whole.probabilities[part.keep.slices] = answer.probabilities[window.slices]
