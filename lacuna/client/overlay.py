"""Labels drawn over an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lacuna.sample import INVALID_LABEL

_HATCH_PIXELS = 8
_HATCH_DARK, _HATCH_LIGHT = 96, 160
_LOW, _HIGH = 2.0, 98.0
"""Percentiles of the valid values that become black and white, unless values have 8 bits."""


def draw_overlay(
    image: NDArray[Any],
    labels: NDArray[np.uint8],
    colors: Mapping[int, tuple[int, int, int]],
    opacity: float,
    *,
    stretch: bool = True,
) -> PIL.Image.Image:
    """Draw labels over an image; invalid pixels are hatched.

    Args:
        image: (H, W), (H, W, C) or (1, H, W, C) numbers; the first three channels are shown.
        labels: uint8 (H, W); 255 = invalid.
        colors: red, green and blue, 0 to 255, by class id.
        opacity: of the labels, from 0 to 1.
        stretch: whether values that have not 8 bits are stretched by their percentiles. If not,
            unsigned integers of 16 bits are drawn from 0 to 65535, all others from 0 to 255.

    Returns:
        An RGB picture.

    Raises:
        ValueError: if image and labels differ in size, or the opacity is out of its range.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be from 0 to 1; it is {opacity:g}")
    picture = image[0] if image.ndim == 4 else image
    if picture.shape[:2] != labels.shape:
        raise ValueError(
            f"image must have the labels' height and width; image is {picture.shape[:2]}, "
            f"labels are {labels.shape}"
        )
    valid = labels != INVALID_LABEL
    table = np.zeros((256, 3), np.float32)
    for number, color in colors.items():
        table[number] = color
    shown = _to_rgb(picture, valid, stretch=stretch)
    shown += opacity * (table[labels] - shown)
    shown[~valid] = _hatch(labels.shape)[~valid, None]
    return PIL.Image.fromarray(shown.round().astype(np.uint8))


def _to_rgb(
    picture: NDArray[Any], valid: NDArray[np.bool_], *, stretch: bool
) -> NDArray[np.float32]:
    """Return the picture as float32 (H, W, 3) from 0 to 255."""
    channels = picture.reshape(*picture.shape[:2], -1)
    # One or two channels are grey and alpha; of three or more the first three are shown.
    chosen = channels[:, :, :3] if channels.shape[2] >= 3 else channels[:, :, [0, 0, 0]]
    values = chosen.astype(np.float32)
    if picture.dtype == np.bool_:
        return values * 255
    if picture.dtype == np.uint8:
        return values
    if stretch:
        return _stretch(values, valid)
    white = np.float32(65535 if picture.dtype == np.uint16 else 255)
    shown = np.nan_to_num(values, nan=0.0) * (np.float32(255) / white)
    return np.asarray(np.clip(shown, 0, 255), np.float32)


def _stretch(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    counted = values[valid]
    counted = counted[np.isfinite(counted)]
    if not counted.size:
        return np.zeros_like(values)
    low, high = np.percentile(counted, [_LOW, _HIGH])
    shown = (values - np.float32(low)) / np.float32(max(high - low, 1e-12)) * 255
    return np.asarray(np.clip(np.nan_to_num(shown, nan=0.0), 0, 255), np.float32)


def _hatch(size: tuple[int, ...]) -> NDArray[np.float32]:
    rows, columns = np.ogrid[: size[0], : size[1]]
    dark = (rows + columns) % _HATCH_PIXELS < _HATCH_PIXELS // 2
    return np.where(dark, np.float32(_HATCH_DARK), np.float32(_HATCH_LIGHT))
