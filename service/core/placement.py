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
    rows, columns = _place_sides(tile, ladder, halo)
    keep = Window(rows.margin, columns.margin, rows.kept, columns.kept)
    return Placement(
        Canvas((rows.length, columns.length), keep),
        Window(rows.seen_start, columns.seen_start, rows.seen_size, columns.seen_size),
        (rows.corner, columns.corner),
        tile.output.move(-rows.kept_start, -columns.kept_start),
    )


def measure_kept(tile: Tile, ladder: Ladder, halo: int) -> tuple[int, int]:
    """Count the pixels of the canvas of `place_kept`, without placing the tile.

    Args:
        tile: As for `place_kept`.
        ladder: As for `place_kept`.
        halo: As for `place_kept`.

    Returns:
        Pixels that are computed, and pixels that are only seen.
    """
    rows, columns = _place_sides(tile, ladder, halo)
    kept = rows.kept * columns.kept
    return kept, rows.length * columns.length - kept


class _Side(NamedTuple):
    """Rows of a canvas and of an image, or columns, in pixels.

    Attributes:
        length: Length of the canvas.
        margin: Where the kept part begins on the canvas.
        kept: Length of the kept part.
        corner: Where the seen part begins on the canvas.
        kept_start: Where the kept part begins in the image.
        seen_start: Where the seen part begins in the image.
        seen_size: Length of the seen part.
    """

    length: int
    margin: int
    kept: int
    corner: int
    kept_start: int
    seen_start: int
    seen_size: int


def _place_sides(tile: Tile, ladder: Ladder, halo: int) -> tuple[_Side, _Side]:
    seen, output = tile
    return (
        _place_side(output.top, output.height, seen.top, seen.height, ladder, halo),
        _place_side(output.left, output.width, seen.left, seen.width, ladder, halo),
    )


def _place_side(
    start: int, size: int, input_start: int, input_size: int, ladder: Ladder, halo: int
) -> _Side:
    """Place the rows or columns of an output and an input window, on the grid at the first kept."""
    stride, stop = ladder.multiple, start + size
    kept_start = start // stride * stride
    seen_start = max(kept_start - halo, input_start)
    seen_stop = min(-(-stop // stride) * stride + halo, input_start + input_size)
    kept = ladder.choose_side(stop - kept_start)
    margin = halo if seen_start < kept_start else 0
    after = halo if seen_stop > kept_start + kept else 0
    return _Side(
        margin + kept + after,
        margin,
        kept,
        margin - kept_start + seen_start,
        kept_start,
        seen_start,
        seen_stop - seen_start,
    )
