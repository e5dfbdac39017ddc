"""Images, masks and labels as pictures for a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.labels import IGNORE_LABEL

_MAX_SIDE = 320
_PERCENTILES = (2, 98)


def show_image(image: NDArray[Any], mask: NDArray[np.bool_]) -> str:
    """Return a picture of an image, transparent where missing.

    Args:
        image: (H, W, C). 8-bit grey and RGB are shown as they are; of others, the first three
            channels, or the first, stretched between their darkest and brightest valid values.
        mask: bool (H, W), True = valid.

    Returns:
        A data URI.
    """
    shown = image[:, :, :3] if image.shape[2] >= 3 else np.repeat(image[:, :, :1], 3, axis=2)
    if shown.dtype != np.uint8:
        shown = _stretch(shown.astype(np.float64), mask)
    return _to_uri(np.dstack([shown, np.where(mask, 255, 0)]), Image.Resampling.BOX)


def show_mask(mask: NDArray[np.bool_]) -> str:
    """Return a picture of a mask, white = valid, as a data URI."""
    grey = np.where(mask, 255, 0)
    return _to_uri(np.dstack([grey, grey, grey, np.full_like(grey, 255)]), Image.Resampling.NEAREST)


def show_labels(labels: NDArray[np.uint8], colors: Sequence[tuple[int, int, int]]) -> str:
    """Return a picture of labels, transparent where there is none, as a data URI."""
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(colors), :3] = colors
    palette[: len(colors), 3] = 255
    palette[IGNORE_LABEL] = 0
    return _to_uri(palette[labels], Image.Resampling.NEAREST)


def _stretch(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not mask.any():
        return np.zeros_like(values)
    low, high = np.percentile(values[mask], _PERCENTILES)
    return np.clip((values - low) / ((high - low) or 1.0) * 255, 0, 255)


def _to_uri(pixels: NDArray[Any], resampling: Image.Resampling) -> str:
    picture = Image.fromarray(np.ascontiguousarray(pixels.astype(np.uint8)))
    factor = _MAX_SIDE / max(picture.size)
    if factor < 1:
        size = [max(round(side * factor), 1) for side in picture.size]
        picture = picture.resize((size[0], size[1]), resampling)
    buffer = BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
