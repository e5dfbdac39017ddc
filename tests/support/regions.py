"""Masks (N, N) of which about a fraction is valid, in one region of a known shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def left_columns(side: int, valid: float) -> Mask:
    mask = np.zeros((side, side), np.bool_)
    mask[:, : round(side * valid)] = True
    return mask


def corner_square(side: int, valid: float) -> Mask:
    mask = np.zeros((side, side), np.bool_)
    length = round(side * valid**0.5)
    mask[:length, :length] = True
    return mask


def centred_square(side: int, valid: float) -> Mask:
    margin = (side - round(side * valid**0.5)) // 2
    return np.roll(corner_square(side, valid), (margin, margin), axis=(0, 1))


def disc(side: int, valid: float) -> Mask:
    """The pixels nearest to the centre."""
    y, x = (line - (side - 1) / 2 for line in np.ogrid[:side, :side])
    return _take_least(y * y + x * x, valid)


def slanted_half(side: int, valid: float) -> Mask:
    """What lies on one side of an edge at 30° to the columns."""
    y, x = np.ogrid[:side, :side]
    return _take_least(y + np.tan(np.deg2rad(30)) * x, valid)


def diagonal_swath(side: int, valid: float) -> Mask:
    y, x = np.ogrid[:side, :side]
    return _take_least(np.abs(y - x).astype(np.float64), valid)


def _take_least(values: NDArray[np.float64], valid: float) -> Mask:
    return np.asarray(values <= np.quantile(values, valid))
