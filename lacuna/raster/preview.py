"""Preview of an image as a PNG that every browser shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from imagecodecs import png_encode
from numpy.typing import NDArray

from lacuna.raster.adapt import Depth, scale_to_depth
from lacuna.raster.raster import Raster
from lacuna.sample import Sample

_COMPRESS_LEVEL = 1
_FILTER = 16
"""Each byte as the difference to that on its left, and no search for the best of five: 4096 × 4096
pixels with alpha are written in 0.8 s instead of 2, and take 15 % less."""

_PERCENTILES = (2, 98)
"""Percentiles that become black and white, as in QGIS."""

_SAMPLED_PIXELS = 1 << 20

_DRAWN_BYTES = 16
_SAMPLED_BYTES = 44
"""Bytes for each pixel that is drawn, and for each of those of which a range is found; measured."""

_BLOCK_PIXELS = 1 << 18
"""Pixels that are stretched together."""


class DisplayRange(NamedTuple):
    """Range of a model's values that is drawn from black to white.

    Attributes:
        dtype: Depth whose raw values the model takes.
        lows: Values that become black: one, or one for each channel.
        highs: Values that become white, as many.
    """

    dtype: Depth
    lows: tuple[float, ...]
    highs: tuple[float, ...]


def estimate_drawing_bytes(pixels: int) -> int:
    """Estimate the memory that drawing takes besides the decoded image, in bytes.

    Args:
        pixels: height × width.
    """
    return _DRAWN_BYTES * pixels + _SAMPLED_BYTES * min(pixels, _SAMPLED_PIXELS)


@dataclass(frozen=True)
class Preview:
    """A picture of an image.

    Attributes:
        content: PNG of the image's height and width, of 8 bits, grey or RGB. If pixels are invalid
            there is alpha, which is 0 for these and 255 for all others.
        exact: the picture's values are the image's, and all of them.
        in_model_range: the picture shows what the model is given, on the scale of the model, not on
            that of the image.
        size: height and width in pixels.
    """

    content: bytes
    exact: bool
    in_model_range: bool
    size: tuple[int, int]


def draw_preview(
    raster: Raster, valid: NDArray[np.bool_], shown: DisplayRange | None = None
) -> Preview:
    """Draw an image.

    Pictures of 8 bits, grey or RGB, are shown as they are. All else is drawn in a model's range,
    so that what the model is given as dark looks dark. If no range is known, bytes are shown as
    they are, and bands of other types are stretched from the 2nd to the 98th percentile of their
    valid pixels. Of three bands and more the first three are red, green and blue; of less, the
    first one is grey.

    Args:
        raster: the image.
        valid: bool (H, W), True = valid; False wherever a value is not finite.
        shown: the range to draw; None if it is not known.
    """
    exact = raster.full_scale == 255 and raster.channels in (1, 3)
    values = _choose_bands(raster.values)
    if exact:
        shown = shown if shown is not None and shown.dtype == "uint8" else None
    elif shown is not None:
        values = scale_to_depth(values, raster.full_scale, shown.dtype)
        values = _draw_range(values, valid, shown, raster.channels)
    elif values.dtype != np.uint8:
        values = _stretch(values, valid, *_find_ranges(values, valid))
    return Preview(_encode(values, valid), exact, shown is not None, raster.size)


def draw_sample(sample: Sample, shown: DisplayRange) -> Preview:
    """Draw the input of a model in the model's range.

    Args:
        sample: the input.
        shown: the range to draw.
    """
    values = _choose_bands(sample.image)
    picture = _draw_range(values, sample.mask, shown, sample.image.shape[2])
    content = _encode(picture, sample.mask)
    return Preview(content, exact=False, in_model_range=True, size=sample.size)


def _choose_bands(values: NDArray[Any]) -> NDArray[Any]:
    return values[:, :, : 3 if values.shape[2] >= 3 else 1]


def _draw_range(
    values: NDArray[Any], valid: NDArray[np.bool_], shown: DisplayRange, channels: int
) -> NDArray[np.uint8]:
    bands = values.shape[2]
    if len(shown.lows) == channels:
        lows, highs = shown.lows[:bands], shown.highs[:bands]
    else:
        lows, highs = (min(shown.lows),) * bands, (max(shown.highs),) * bands
    if values.dtype == np.uint8 and {*lows} == {0} and {*highs} == {255}:
        return values
    return _stretch(values, valid, np.array(lows), np.array(highs))


def _encode(values: NDArray[np.uint8], valid: NDArray[np.bool_]) -> bytes:
    if not valid.all():
        alpha = np.where(valid, np.uint8(255), np.uint8(0))
        values = np.dstack([np.where(valid[:, :, None], values, np.uint8(0)), alpha])
    return _write_png(values)


def _write_png(values: NDArray[np.uint8]) -> bytes:
    # An axis of one may have any stride, which libpng's wrapper refuses.
    picture = np.ascontiguousarray(values[:, :, 0] if values.shape[2] == 1 else values)
    return bytes(png_encode(picture, level=_COMPRESS_LEVEL, filter=_FILTER))


def _stretch(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    lows: NDArray[np.float64],
    highs: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """Bring each band to 0..255; what stands under invalid pixels becomes anything."""
    stretched = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK_PIXELS // valid.shape[1])
    for start in range(0, len(values), rows):
        part = slice(start, start + rows)
        for band, (low, high) in enumerate(zip(lows, highs, strict=True)):
            # As float64: a range may be wider or narrower than float32 can tell.
            shown = np.where(valid[part], values[part, :, band], low).astype(np.float64)
            shown -= low
            shown *= 255 / (high - low or 1)
            stretched[part, :, band] = np.rint(np.clip(shown, 0, 255, out=shown), out=shown)
    return stretched


def _find_ranges(
    values: NDArray[Any], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the values of each band that become black and white; they always differ."""
    step = math.isqrt((valid.size - 1) // _SAMPLED_PIXELS) + 1
    if not valid[::step, ::step].any():
        step = 1
    sample = values[::step, ::step][valid[::step, ::step]].astype(np.float64)
    if not len(sample):
        sample = np.zeros((1, values.shape[2]))
    lows, highs = np.percentile(sample, _PERCENTILES, axis=0)
    # Where nearly all is alike, what differs is what there is to see.
    alike = lows == highs
    lows = np.where(alike, sample.min(axis=0), lows)
    highs = np.where(alike, sample.max(axis=0), highs)
    return lows, np.where(lows == highs, lows + np.maximum(1, np.abs(lows)), highs)
