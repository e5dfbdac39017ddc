"""Cutting of images into overlapping tiles, for models that cannot be tiled exactly at any size.

1. Along each axis, tiles begin at multiples of a step, the side less the overlap. The last one ends
   at the image's end, or begins on the first point of the grid from which it reaches it.
2. Two neighbours share their overlap in halves: each keeps what is nearer to its own centre.
3. An image that is no longer than a tile along an axis has one tile there, as long as the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lacuna.windows.window import Tile, Window


class Cut(NamedTuple):
    """Rules for overlapping tiles.

    Attributes:
        size: Height and width of a tile in pixels.
        overlap: Pixels that two neighbours share at least; less than the sides.
        grid: Tiles begin on multiples of it; `size` and `size - overlap` are multiples of it.
    """

    size: tuple[int, int]
    overlap: int
    grid: int = 1


def cut_image(size: tuple[int, int], cut: Cut, keep: Window | None = None) -> list[Tile]:
    """Cut an image into overlapping tiles.

    Args:
        size: Height and width of the image in pixels.
        cut: Rules for the tiles.
        keep: Window inside the image whose output is wanted; None for the whole image.

    Returns:
        Tiles whose output windows are disjoint and together are `keep`, from top to bottom.
    """
    kept = keep or Window(0, 0, *size)
    rows, columns = (
        list(_cut_side(length, side, cut)) for length, side in zip(size, cut.size, strict=True)
    )
    tiles = (
        Tile(
            Window(row.first, column.first, row.length, column.length),
            Window(row.kept, column.kept, row.kept_length, column.kept_length).intersect(kept),
        )
        for row in rows
        for column in columns
    )
    return [tile for tile in tiles if tile.output.height and tile.output.width]


class _Part(NamedTuple):
    first: int
    length: int
    kept: int
    kept_length: int


def _cut_side(length: int, side: int, cut: Cut) -> Iterator[_Part]:
    """Cut rows or columns."""
    last = max(-(-(length - side) // cut.grid) * cut.grid, 0)
    step = side - cut.overlap
    firsts = [*range(0, last, step), last]
    kept = 0
    for first, following in zip(firsts, [*firsts[1:], None], strict=True):
        end = min(first + side, length)
        kept_end = length if following is None else (following + end) // 2
        yield _Part(first, end - first, kept, kept_end - kept)
        kept = kept_end
