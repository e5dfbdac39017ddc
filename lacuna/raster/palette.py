"""Labels as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lacuna.sample import INVALID_LABEL

_COMPRESS_LEVEL = 1
"""Of a 1024 × 1024 label map, level 1 makes 100 kB in 4 ms and level 6 makes 61 kB in 13 ms; where
the labels are speckled, 177 kB in 6 ms against 124 kB in 30 ms."""


def labels_png(labels: NDArray[np.uint8], colors: Sequence[tuple[int, int, int]]) -> bytes:
    """Save labels as a palette PNG whose indices are the labels.

    Args:
        labels: uint8 (H, W); 255 = invalid, which becomes fully transparent.
        colors: red, green and blue, 0 to 255, of the classes 0, 1, …; at most 255 of them. Classes
            without one are black.
    """
    picture = Image.fromarray(labels)
    flat = [level for color in colors for level in color]
    picture.putpalette(flat + [0] * (768 - len(flat)))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=INVALID_LABEL, compress_level=_COMPRESS_LEVEL)
    return buffer.getvalue()
