"""Blocks of an image, some to train on and some to score: a split of one large scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.windows.window import Window
from model.data.places import draw_place
from model.labels import IGNORE_LABEL


@dataclass(frozen=True)
class Blocks:
    """Blocks of one part of the split.

    Attributes:
        image: name of the image, which with its place decides the part of a block.
        side: of a block in pixels.
        lowest: least place of a block of this part, from 0 to 1.
        highest: the places of its blocks are below this.
    """

    image: str
    side: int
    lowest: float
    highest: float

    def select(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window are of this part, bool (H, W)."""
        rows = (np.arange(window.height) + window.top) // self.side
        columns = (np.arange(window.width) + window.left) // self.side
        held = np.array(
            [
                [self._holds(row, column) for column in range(columns[0], columns[-1] + 1)]
                for row in range(rows[0], rows[-1] + 1)
            ]
        )
        return held[np.ix_(rows - rows[0], columns - columns[0])]

    def hide(self, labels: NDArray[Any], window: Window) -> NDArray[Any]:
        """Return the labels of a window, `IGNORE_LABEL` in blocks of other parts."""
        return np.where(self.select(window), labels, labels.dtype.type(IGNORE_LABEL))

    def _holds(self, row: int, column: int) -> bool:
        return self.lowest <= draw_place(f"{self.image}/{row}/{column}") < self.highest
