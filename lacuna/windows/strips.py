"""Strips of a mask: what a model computes that leaves out whatever holds no valid pixel.

The canvas is divided into strips of some cells in width, and each strip into blocks of one cell in
height. A run is a series of blocks of one strip that all hold a valid pixel. A model computes the
runs, with a small border around each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.windows.cells import find_valid_cells
from lacuna.windows.tiling import MAX_SHARE, Tiling, find_valid_box
from lacuna.windows.window import Tile, Window

STRIP_CELLS = 4
"""Width of a strip in cells of the total stride."""


def count_strip_pixels(mask: NDArray[np.bool_], total_stride: int) -> int:
    """Count the pixels that a model computes on strips.

    Args:
        mask: bool (H, W), True = valid.
        total_stride: Total stride of the model.

    Returns:
        Pixels of the blocks, and of one more block for each run: about as much as its border.
    """
    cells = find_valid_cells(mask, total_stride)
    blocks = np.logical_or.reduceat(cells, range(0, cells.shape[1], STRIP_CELLS), axis=1)
    runs = np.count_nonzero(blocks[0]) + np.count_nonzero(blocks[1:] & ~blocks[:-1])
    return int((np.count_nonzero(blocks) + runs) * STRIP_CELLS * total_stride**2)


class StripTile(NamedTuple):
    """Tile that is computed on strips.

    Attributes:
        tile: Windows that the model sees and that are kept.
        pixels: Number of pixels of the strips, from `count_strip_pixels`.
    """

    tile: Tile
    pixels: int


def plan_strips(mask: NDArray[np.bool_], tiling: Tiling, workers: int = 1) -> list[StripTile]:
    """Plan the tiles of an image that is computed on strips.

    The box of all valid pixels is one tile if it fits into a call, unless several workers are idle:
    then they share it, provided that each computes much less than one worker would. A larger box is
    halved, until the strips of each part have at most `split_pixels`, and its window at most
    `max_pixels`.

    Args:
        mask: bool (H, W), True = valid.
        tiling: Rules for the tiles.
        workers: Number of workers that could begin at once.

    Returns:
        Tiles with disjoint output windows that together contain every valid pixel.
    """
    box = find_valid_box(mask, tiling.total_stride)
    if box is None:
        return []
    if box.height * box.width > tiling.limit:
        return list(_halve(mask, tiling, box))
    whole = StripTile(Tile(box, box), count_strip_pixels(mask[box.slices], tiling.total_stride))
    if workers == 1:
        return [whole]
    shared = _share(mask, tiling, box, workers)
    is_worthwhile = max(tile.pixels for tile in shared) <= MAX_SHARE * whole.pixels
    return shared if is_worthwhile else [whole]


def _share(mask: NDArray[np.bool_], tiling: Tiling, box: Window, workers: int) -> list[StripTile]:
    """Cut a box across its longer side, so that each part has about as many valid pixels."""
    is_high = box.height >= box.width
    counts = np.count_nonzero(mask[box.slices], axis=int(is_high)).cumsum()
    ends = np.searchsorted(counts, counts[-1] * np.arange(1, workers) / workers)
    lines = sorted({0, *(ends // tiling.total_stride * tiling.total_stride).tolist(), len(counts)})
    parts = [
        box._replace(height=end - start).move(start, 0)
        if is_high
        else box._replace(width=end - start).move(0, start)
        for start, end in pairwise(lines)
    ]
    seen = (_see(mask, tiling, part) for part in parts)
    return [tile for tile in seen if tile is not None]


def _halve(mask: NDArray[np.bool_], tiling: Tiling, part: Window) -> Iterator[StripTile]:
    tile = _see(mask, tiling, part)
    if tile is None:
        return
    stride = tiling.total_stride
    (seen, kept), pixels = tile
    fits = seen.height * seen.width <= tiling.limit and pixels <= tiling.split_pixels
    if fits or max(kept.height, kept.width) <= stride:
        yield tile
        return
    if kept.height >= kept.width:
        half = kept.height // 2 // stride * stride or stride
        parts = (kept._replace(height=half), kept._replace(height=kept.height - half).move(half, 0))
    else:
        half = kept.width // 2 // stride * stride or stride
        parts = (kept._replace(width=half), kept._replace(width=kept.width - half).move(0, half))
    for each in parts:
        yield from _halve(mask, tiling, each)


def _see(mask: NDArray[np.bool_], tiling: Tiling, part: Window) -> StripTile | None:
    """Return the tile that keeps a part of the image; None if no pixel of it is valid."""
    found = find_valid_box(mask[part.slices], tiling.total_stride)
    if found is None:
        return None
    kept = found.move(part.top, part.left)
    # What is kept may end inside a cell; the halo begins where that cell ends.
    cells = kept.align(tiling.total_stride)
    seen = cells.grow(tiling.halo).intersect(Window(0, 0, *mask.shape))
    return StripTile(Tile(seen, kept), count_strip_pixels(mask[seen.slices], tiling.total_stride))
