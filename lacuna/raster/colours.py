"""Colours as files store them, brought to values of which more means brighter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_intensities(
    values: NDArray[Any], bits: int, *, white_is_zero: bool = False, is_cmyk: bool = False
) -> tuple[NDArray[Any], float | None]:
    """Bring stored numbers to intensities.

    Args:
        values: (H, W, C) of any real dtype.
        bits: bits of a number in the file.
        white_is_zero: 0 is white and the highest value is black.
        is_cmyk: the channels are four inks, of which less means brighter.

    Returns:
        values, of RGB if they were inks, and the one that means white. Signed and floating-point
        numbers, and those of more than 16 bits, are no intensities: they are returned as they are,
        with None.

    Raises:
        ValueError: if inks are not four.
    """
    if values.dtype.kind not in "bu" or bits > 16:
        return values, None
    full_scale = 2**bits - 1
    if white_is_zero:
        values = full_scale - values.astype(np.uint16 if full_scale > 255 else np.uint8)
    if is_cmyk:
        values = _cmyk_to_rgb(values, full_scale)
    if bits in (1, 2, 4):
        return values.astype(np.uint8) * np.uint8(255 // full_scale), 255.0
    return values, float(full_scale)


def _cmyk_to_rgb(values: NDArray[Any], full_scale: int) -> NDArray[Any]:
    if values.shape[2] != 4:
        raise ValueError("CMYK must have four inks")
    # uint32 just holds 65535² and the rounding.
    light = (full_scale - values.astype(np.uint32)).astype(np.uint32)
    rgb = (light[:, :, :3] * light[:, :, 3:] + np.uint32(full_scale // 2)) // np.uint32(full_scale)
    return rgb.astype(values.dtype)
