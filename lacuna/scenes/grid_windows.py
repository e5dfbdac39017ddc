"""The windows that a scene is cut into."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lacuna.errors import SceneError
from lacuna.scenes.runner import SceneModel
from lacuna.windows.window import Tile, Window

_BLOCK = 256
"""Blocks of most rasters are 256 or 512 pixels wide, or whole rows: sides are multiples."""


def choose_side(model: SceneModel, height: int, width: int) -> int:
    """Choose the side of what a window keeps, in pixels: on the model's grid, and whole blocks.

    Args:
        model: model that segments the scene.
        height: rows of the scene.
        width: columns of the scene.

    Raises:
        SceneError: if windows would leave seams, and the scene is too large for one.
    """
    if not model.is_exact:
        if height * width > model.window_pixels:
            raise SceneError(
                f"a scene of more than {model.window_pixels} pixels needs a model whose answers do "
                f"not depend on padding; those of {model.name} do, and windows would leave seams"
            )
        return max(height, width)
    step = math.lcm(model.total_stride, _BLOCK)
    seen = max(math.isqrt(model.window_pixels) - 2 * model.halo, 0)
    side = seen // step * step
    # A window that is too large for one call is divided by the engine.
    return side or max(seen // model.total_stride, 1) * model.total_stride


def plan_tiles(
    height: int, width: int, side: int, halo: int, part: tuple[int, int]
) -> Iterator[Tile]:
    """Plan the windows of a part of a scene, in the order in which they are read.

    Args:
        height: rows of the scene.
        width: columns of the scene.
        side: side of what a window keeps, in pixels.
        halo: border that it sees around that, in pixels.
        part: first column, a multiple of `side`, and the one past the last.

    Yields:
        Tiles from top to bottom, and in each row from left to right; their outputs cover the part
        once.
    """
    scene = Window(0, 0, height, width)
    first, last = part
    columns = Window(0, first, height, last - first)
    for top in range(0, height, side):
        for left in range(first, last, side):
            output = Window(top, left, side, side).intersect(columns)
            yield Tile(output.grow(halo).intersect(scene), output)
