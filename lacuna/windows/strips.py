"""Strips of a mask: what a model computes that leaves out whatever holds no valid pixel.

The canvas is divided into strips of some cells in width, and each strip into blocks of one cell in
height. A run is a series of blocks of one strip that all hold a valid pixel. A model computes the
runs, with a small border around each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.windows.cells import find_valid_cells
from lacuna.windows.tiling import Tiling, find_valid_box
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


def plan_strips(mask: NDArray[np.bool_], tiling: Tiling) -> list[StripTile]:
    """Plan the tiles of an image that is computed on strips.

    The box of all valid pixels is one tile if it fits into a call. Otherwise it is halved, until
    the strips of each part have at most `split_pixels`, and its window at most `max_pixels`.

    Args:
        mask: bool (H, W), True = valid.
        tiling: Rules for the tiles.

    Returns:
        Tiles with disjoint output windows that together contain every valid pixel.
    """
    box = find_valid_box(mask, tiling.total_stride)
    if box is None:
        return []
    if box.height * box.width <= tiling.limit:
        return [
            StripTile(Tile(box, box), count_strip_pixels(mask[box.slices], tiling.total_stride))
        ]
    return list(_halve(mask, tiling, box))


def _halve(mask: NDArray[np.bool_], tiling: Tiling, part: Window) -> Iterator[StripTile]:
    stride = tiling.total_stride
    found = find_valid_box(mask[part.slices], stride)
    if found is None:
        return
    kept = found.move(part.top, part.left)
    seen = kept.grow(tiling.halo).intersect(Window(0, 0, *mask.shape))
    pixels = count_strip_pixels(mask[seen.slices], stride)
    fits = seen.height * seen.width <= tiling.limit and pixels <= tiling.split_pixels
    if fits or max(kept.height, kept.width) <= stride:
        yield StripTile(Tile(seen, kept), pixels)
        return
    if kept.height >= kept.width:
        half = kept.height // 2 // stride * stride or stride
        parts = (kept._replace(height=half), kept._replace(height=kept.height - half).move(half, 0))
    else:
        half = kept.width // 2 // stride * stride or stride
        parts = (kept._replace(width=half), kept._replace(width=kept.width - half).move(0, half))
    for each in parts:
        yield from _halve(mask, tiling, each)
