"""Bands that are tagged as alpha, but are probably bands of the image.

GDAL tags the fourth band of 8 bits as alpha unless it is told otherwise, and it is often near
infrared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.raster.bands import BandChoice

_SAMPLED_SIDE = 64


def varies_like_image(alpha: NDArray[Any]) -> bool:
    """Return whether samples that are tagged as alpha vary as those of an image do.

    Alpha is 0 or its highest value nearly everywhere; only edges are in between.

    Args:
        alpha: unsigned integers (H, W); others are never doubted.
    """
    if alpha.dtype.kind != "u":
        return False
    rows, columns = (max(1, side // _SAMPLED_SIDE) for side in alpha.shape)
    sample = alpha[::rows, ::columns]
    between = np.count_nonzero((sample > 0) & (sample < sample.max()))
    return bool(2 * between > np.count_nonzero(sample))


def describe_doubt(choice: BandChoice) -> str:
    """Return what to tell people about alpha that varies like an image band, in ASCII."""
    number = 0 if choice.alpha is None else choice.alpha + 1
    return (
        f"band {number} is tagged as alpha, so it counts as validity and is no channel; but it "
        f"varies like a band of an image. If it is one, alpha=no takes it as a channel"
    )
