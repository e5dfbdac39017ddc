"""Tiling: the windows of an image that a model computes.

A model's output at a pixel depends on the valid pixels within the halo and on the pixel's position
on the model's grid. So a window that starts on the grid gives the output of the whole image
wherever it contains every valid pixel within the halo. Empty areas need not be computed, and tiles
need no blending.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lacuna.windows.cells import Box, CellGrid, find_valid_cells
from lacuna.windows.splitting import Piece, SplitCosts, split
from lacuna.windows.window import Tile, Window

MAX_SHARE = 0.75
"""Largest part of an image, halos included, that a worker may get for sharing the image to pay."""

# Least cost of a pixel in seconds, so that more pixels never cost less, whatever the prices say.
_MIN_PIXEL_S = 1e-15
# Planning this many cells, 8192 × 8192 pixels at a total stride of 8, takes 50 ms and 20 MB.
_MAX_CELLS = 1 << 20


@dataclass(frozen=True)
class Tiling:
    """Rules for the tiles of a model.

    Attributes:
        total_stride: Total stride of the model; input windows start on multiples of it.
        halo: Receptive radius of the model in pixels, rounded up to a multiple of `total_stride`.
        max_pixels: Largest H · W of an input window, which bounds the memory of a call. The default
            is slightly more than 1136²: 1024² with a halo of 56.
        split_pixels: The same for an image that needs several tiles in any case. It is smaller,
            since small images wait while a tile is run. The default halves this wait, and an image
            of 4096² takes 7 % longer.

    Raises:
        ValueError: if `total_stride` or a number of pixels is less than 1, or if `halo` is not a
            multiple of `total_stride`, 0 or more.
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
        """Largest H · W of an input window: `max_pixels`, but at least one cell with its halo."""
        return int(max(self.max_pixels, (self.total_stride + 2 * self.halo) ** 2))


def find_valid_box(mask: NDArray[np.bool_], total_stride: int) -> Window | None:
    """Find the smallest window on the model's grid that holds every valid pixel.

    Cropping to this window does not change the output. The cropped pixels are invalid, the model
    treats the area beyond its input as invalid too, and the cells stay on the same grid.

    Args:
        mask: bool (H, W), True = valid.
        total_stride: Total stride of the model; the window's first row and column are multiples.

    Returns:
        The window; None if no pixel is valid.
    """
    if np.count_nonzero(mask) == mask.size:  # the common case, and fast to check
        return Window(0, 0, *mask.shape)
    # Methods of arrays take half the time of functions that wrap them, and small images are many.
    (rows,) = np.logical_or.reduce(mask, axis=1).nonzero()
    if rows.size == 0:
        return None
    (columns,) = np.logical_or.reduce(mask, axis=0).nonzero()
    top = int(rows[0]) // total_stride * total_stride
    left = int(columns[0]) // total_stride * total_stride
    return Window(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)


def plan_windows(
    mask: NDArray[np.bool_],
    tiling: Tiling,
    price: Callable[[Tile], float],
    workers: int = 1,
    keep: Window | None = None,
) -> list[Tile]:
    """Choose the tiles of an image that a model must compute.

    The box of all valid pixels is split if it is too large, or if tiles that leave out empty areas
    are cheaper in total, halos included. If several workers are idle, the box is shared among them,
    provided that each then takes much less time than one worker would for the whole box.

    Args:
        mask: bool (H, W), True = valid.
        tiling: Rules for the tiles.
        price: Function from a tile to the seconds of its call. It is called often. Two tiles with
            windows of equal sizes and distances have one price, wherever they lie.
        workers: Number of workers that could begin at once.
        keep: Window inside the image whose output is wanted; None for the whole image.

    Returns:
        Tiles with disjoint output windows that together contain every valid pixel of `keep`, and
        none outside, from top to bottom; empty if no pixel of it is valid. For one worker, their
        total price is at most that of the box of all valid pixels that count, if the box fits into
        one tile.
    """
    box = find_valid_box(mask, tiling.total_stride)
    if keep is not None and box is not None:
        box = _find_seen_box(mask, tiling, keep)
    if box is None:
        return []
    kept = box if keep is None else keep.intersect(box)
    if max(box.height, box.width) <= tiling.total_stride + tiling.halo:
        # Every output pixel may depend on every input pixel.
        return [Tile(box, kept)]
    inside = mask[box.slices]
    tiling = _coarsen(_bound(tiling, box, workers), box)
    stride = tiling.total_stride
    costs = _estimate_costs(tiling, box, price)
    if box.height * box.width <= tiling.limit:
        whole_s = price(Tile(box, kept))
        valid = np.count_nonzero(inside) / stride**2
        if not costs.is_worth_a_search(whole_s, valid * costs.cell_s):
            return [Tile(box, kept)]
    costs = replace(costs, halo_cell_s=_estimate_halo_cell(tiling, price, costs))
    cells = find_valid_cells(inside, stride)
    kept_cells = None if keep is None else find_valid_cells(_leave(inside, box, kept), stride)
    pieces = split(CellGrid(cells, costs.halo, kept_cells), costs)
    if len(pieces) == 1:
        return [Tile(box, kept)]
    return sorted(
        Tile(
            _to_pixels(piece.input, box, stride),
            _to_pixels(piece.output, box, stride).intersect(kept),
        )
        for piece in pieces
    )


def _find_seen_box(mask: NDArray[np.bool_], tiling: Tiling, keep: Window) -> Window | None:
    """Find the box of the valid pixels that the output of a window depends on, on the grid."""
    kept = find_valid_box(mask[keep.slices], 1)
    if kept is None:
        return None
    image, stride = Window(0, 0, *mask.shape), tiling.total_stride
    cells = kept.move(keep.top, keep.left).align(stride)
    seen = cells.grow(tiling.halo).intersect(image)
    box = find_valid_box(mask[seen.slices], 1)
    if box is None:
        return None
    aligned = box.move(seen.top, seen.left)
    bottom, right = aligned.top + aligned.height, aligned.left + aligned.width
    top, left = aligned.top // stride * stride, aligned.left // stride * stride
    return Window(top, left, bottom - top, right - left)


def _leave(inside: NDArray[np.bool_], box: Window, kept: Window) -> NDArray[np.bool_]:
    """Leave only the valid pixels of a window, both given in the pixels of the image."""
    left = np.zeros_like(inside)
    slices = kept.move(-box.top, -box.left).slices
    left[slices] = inside[slices]
    return left


def _bound(tiling: Tiling, box: Window, workers: int) -> Tiling:
    """Reduce the largest input window below what the tiling allows.

    A box that needs several tiles in any case takes smaller ones, since small images wait while a
    tile is run. A smaller box is divided among the workers, unless the tiles would be mostly halo.
    """
    if box.height * box.width > tiling.limit:
        return replace(tiling, max_pixels=min(tiling.max_pixels, tiling.split_pixels))
    short, long = sorted((box.height, box.width))
    share = -(-long // workers) + 2 * tiling.halo
    if share > MAX_SHARE * long:
        return tiling
    return replace(tiling, max_pixels=min(tiling.max_pixels, share * short))


def _coarsen(tiling: Tiling, box: Window) -> Tiling:
    """Enlarge the cells for a very large box. They consist of whole cells, so the plan is exact."""
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


def _estimate_costs(tiling: Tiling, box: Window, price: Callable[[Tile], float]) -> SplitCosts:
    """Convert the tiling and the prices of a box to cells."""
    stride, limit = tiling.total_stride, tiling.limit
    smallest = Window(0, 0, stride, stride)
    height = min(box.height, math.isqrt(limit))
    largest = Window(0, 0, height, min(box.width, limit // height))
    call_s = price(Tile(smallest, smallest))
    pixel_s = (price(Tile(largest, largest)) - call_s) / (largest.height * largest.width)
    pixel_s = max(_MIN_PIXEL_S, pixel_s)

    def price_piece(piece: Piece) -> float:
        seen = _to_pixels(piece.input, box, stride)
        if seen.height * seen.width > limit:
            return math.inf
        if piece.output == piece.input:
            return price(Tile(seen, seen))
        return price(Tile(seen, _to_pixels(piece.output, box, stride)))

    return SplitCosts(
        price=price_piece,
        call_s=call_s,
        cell_s=pixel_s * stride**2,
        halo_cell_s=pixel_s * stride**2,
        limit=limit // stride**2,
        halo=tiling.halo // stride,
    )


def _estimate_halo_cell(tiling: Tiling, price: Callable[[Tile], float], costs: SplitCosts) -> float:
    """Return the approximate seconds of a cell that is seen and not kept."""
    if not tiling.halo:
        return costs.cell_s
    kept = Window(0, 0, 4 * tiling.halo, 4 * tiling.halo)
    seen = kept.grow(tiling.halo)
    kept_cells, seen_cells = (4 * costs.halo) ** 2, (6 * costs.halo) ** 2
    halo_s = price(Tile(seen, kept)) - costs.call_s - costs.cell_s * kept_cells
    return min(max(_MIN_PIXEL_S, halo_s / (seen_cells - kept_cells)), costs.cell_s)


def _to_pixels(cells: Box, box: Window, stride: int) -> Window:
    """Convert cells, counted from the corner of a box and clipped to it, to a window in pixels."""
    top, left = cells.top * stride, cells.left * stride
    bottom, right = min(cells.bottom * stride, box.height), min(cells.right * stride, box.width)
    return Window(box.top + top, box.left + left, bottom - top, right - left)
