"""Places of the features of a network: on the whole canvas, or where a window depends on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.layers import CropToSize
from model.layers.cropping import CropToBox


class Canvas:
    """Places of features that cover the whole canvas: nothing is cropped before the end."""

    def see(self, x: Any, block: int, name: str) -> Any:
        """Return what a block sees of the canvas."""
        del block, name
        return x

    def move(self, x: Any, source: int, target: int, name: str) -> Any:
        """Return what a block reads of the features of an earlier one."""
        del source, target, name
        return x

    def finish(self, x: Any, mask: Any) -> Any:
        """Crop the outputs of the last block to the image."""
        return CropToSize(name="crop")([x, mask])


class Boxes(Canvas):
    """Places of features that cover only what the outputs of a window depend on.

    Args:
        depths: level of each block.
        boxes: box of each block, and the window's; see `PlanBoxes`.
    """

    def __init__(self, depths: Sequence[int], boxes: Sequence[Any]) -> None:
        self._depths, self._boxes = depths, boxes

    def see(self, x: Any, block: int, name: str) -> Any:
        """Crop features of the whole canvas to the box of a block of their level."""
        return CropToBox(name=f"{name}_see")([x, self._boxes[block]])

    def move(self, x: Any, source: int, target: int, name: str) -> Any:
        """Crop the features of one block to the box of a later one."""
        levels = self._depths[target] - self._depths[source]
        boxes = self._boxes[source], self._boxes[target]
        return CropToBox(levels, name=f"{name}_move")([x, *boxes])

    def finish(self, x: Any, mask: Any) -> Any:
        """Crop the outputs of the last block to the window."""
        del mask
        return CropToBox(name="crop")([x, *self._boxes[-2:]])
