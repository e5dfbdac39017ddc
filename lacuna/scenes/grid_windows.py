"""The windows that a scene is cut into."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from lacuna.scenes.runner import SceneModel
from lacuna.windows.tiling import Tile, Window

_BLOCK = 256
"""Blocks of most rasters are 256 or 512 pixels wide, or whole rows: sides are multiples."""


def choose_side(model: SceneModel) -> int:
    """Choose the side of what a window keeps, in pixels: on the model's grid, and whole blocks.

    Args:
        model: model that segments the scene.
    """
    step = math.lcm(model.total_stride, _BLOCK)
    seen = math.isqrt(model.window_pixels) - 2 * model.halo
    side = seen // step * step
    # A window that is too large for one call is divided by the engine.
    return side or max(seen // model.total_stride, 1) * model.total_stride


def plan_tiles(
    height: int, width: int, side: int, halo: int, parts: Sequence[tuple[int, int]]
) -> Iterator[Tile]:
    """Plan the windows of a scene, in the order in which they are read.

    Args:
        height: rows of the scene.
        width: columns of the scene.
        side: side of what a window keeps, in pixels.
        halo: border that it sees around that, in pixels.
        parts: first column of each part of the width that is read by itself, and the column after
            its last, multiples of `side`.

    Yields:
        Tiles; their outputs cover the scene once. Each part is walked from top to bottom.
    """
    scene = Window(0, 0, height, width)
    for first, last in parts:
        for top in range(0, height, side):
            for left in range(first, last, side):
                output = Window(top, left, side, side).intersect(scene)
                yield Tile(output.grow(halo).intersect(scene), output)
