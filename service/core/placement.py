"""Placement of windows on the canvases of a batch.

1. A canvas is computed whole, or only the window of it that is kept. Windows that share a call have
   canvases of one size, and keep the same window of them.
2. If a part is kept, it begins at a margin from the top and from the left: none, or a halo. Its
   sides are of the ladder, and the canvas has margins of the same two kinds at the bottom and at
   the right. So there are few canvases.
3. Of a canvas that is computed whole, a model may leave out blocks without a valid pixel. Then it
   computes strips; see `lacuna.windows.strips`. Such a canvas rarely shares a call.
4. A side at which the model sees nothing beyond what is kept has no margin. What the canvas has
   beyond the window that is seen is invalid, which changes no output.
"""

from __future__ import annotations

from typing import NamedTuple

from lacuna.windows.window import Tile, Window
from service.core.buckets import Ladder


class Canvas(NamedTuple):
    """Canvas of a window.

    Attributes:
        size: Height and width in pixels.
        keep: Window of the canvas that is computed; None for all of it.
        strips: Number of pixels of the strips that are computed; None if it is not on strips.
    """

    size: tuple[int, int]
    keep: Window | None = None
    strips: int | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels H · W."""
        return self.size[0] * self.size[1]

    @property
    def computed_pixels(self) -> int:
        """Number of pixels that the model computes or sees."""
        return self.pixels if self.strips is None else self.strips

    @property
    def kept_size(self) -> tuple[int, int]:
        """Height and width of what is computed, in pixels."""
        return self.size if self.keep is None else (self.keep.height, self.keep.width)

    @property
    def kept_pixels(self) -> int:
        """Number of pixels that are computed."""
        height, width = self.kept_size
        return height * width


class Placement(NamedTuple):
    """Place of a tile on a canvas.

    Attributes:
        canvas: Canvas.
        seen: Window of the image that is copied to the canvas.
        corner: Row and column of the canvas where it begins.
        answer: Output window of the tile, in the pixels of the model's output.
    """

    canvas: Canvas
    seen: Window
    corner: tuple[int, int]
    answer: Window


class Part(NamedTuple):
    """Part of an image.

    Attributes:
        output: Output window of its tile, in the image's pixels.
        placement: Place of the tile on a canvas.
    """

    output: Window
    placement: Placement


def place_whole(tile: Tile, size: tuple[int, int]) -> Placement:
    """Place a tile in the top left corner of a canvas that is computed whole."""
    seen, (top, left, height, width) = tile
    answer = Window(top - seen.top, left - seen.left, height, width)
    return Placement(Canvas(size), seen, (0, 0), answer)


def place_kept(tile: Tile, ladder: Ladder, halo: int) -> Placement:
    """Place a tile on a canvas of which only a part is computed.

    Args:
        tile: Tile whose input window starts on the model's grid.
        ladder: Ladder of the sides of what is kept.
        halo: Halo of the model in pixels, a multiple of its total stride.
    """
    stride = ladder.multiple
    kept = tile.output.align(stride)
    seen = kept.grow(halo).intersect(tile.input)
    rows = _place_side(
        kept.top, tile.output.top + tile.output.height, seen.top, seen.height, ladder, halo
    )
    columns = _place_side(
        kept.left, tile.output.left + tile.output.width, seen.left, seen.width, ladder, halo
    )
    keep = Window(rows.margin, columns.margin, rows.kept, columns.kept)
    return Placement(
        Canvas((rows.length, columns.length), keep),
        seen,
        (rows.corner, columns.corner),
        tile.output.move(-kept.top, -kept.left),
    )


class _Side(NamedTuple):
    margin: int
    kept: int
    length: int
    corner: int


def _place_side(
    first: int, last: int, seen_first: int, seen_length: int, ladder: Ladder, halo: int
) -> _Side:
    """Place rows or columns: those kept are from `first` to `last`, on the grid at the first."""
    before = first - seen_first
    margin = halo if before else 0
    kept = ladder.choose_side(last - first)
    after = seen_length - before - kept
    return _Side(margin, kept, margin + kept + (halo if after > 0 else 0), margin - before)
