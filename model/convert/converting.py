"""Conversion of an ordinary network into one that ignores missing pixels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras

from model.convert.building import Builder
from model.convert.features import ConversionError, Features, Masks
from model.convert.geometry import Grid, linear_reads, refine
from model.layers import CropToSize, FillInvalid, MaskedUpSampling2D, PadToMultiple

_RANK = 4


@dataclass(frozen=True)
class Conversion:
    """Converted network.

    Attributes:
        network: from `[image, mask]`, float32 (N, H, W, C), any value under the mask, and bool (N,
            H, W, 1), any H and W ≥ 1, to the scores of the original, float32 (N, H, W, K), 0 where
            invalid.
        total_stride: side of a cell of the coarsest map, in pixels.
        receptive_radius: distance in pixels beyond which nothing changes a pixel's scores; None if
            they depend on the whole image.
        notes: what was allowed, a line for each layer.
    """

    network: keras.Model
    total_stride: int
    receptive_radius: int | None
    notes: tuple[str, ...] = ()


def convert(network: keras.Model, *, allow: Collection[str] = (), output: int = 0) -> Conversion:
    """Rebuild a network with masked layers and its own weights.

    Convolutions become partial convolutions, pooling takes valid pixels alone, masks never grow,
    and windows have the same phase in every canvas: that of images whose sides are multiples of
    the total stride. So scores depend neither on the canvas, nor on what is missing. Where all
    pixels are valid and the border is further than the receptive radius, they are the original's.
    Outside the image counts as missing, and padding inside the network too. Outputs at a fraction
    of the resolution are upsampled bilinearly.

    Args:
        network: functional or sequential, of one image (N, H, W, C), to scores of its pixels. It
            is not changed.
        allow: names or classes of the layers that may take statistics over the whole image. They
            take those of its valid pixels, and the result can no longer be tiled.
        output: index of the output with the scores.

    Raises:
        ConversionError: if it has another form, or layers that cannot be converted: all of them
            are named, each with its reason.
    """
    channels = _read_channels(network)
    # Once to learn the total stride, and once to pad to it.
    stride = _build(network, channels, 1, allow, output).total_stride
    return _build(network, channels, stride, allow, output)


def _read_channels(network: keras.Model) -> int:
    if isinstance(network, keras.Sequential) and not network.built:
        raise ConversionError("a sequential network must have an input, or be built")
    inputs = getattr(network, "inputs", None) or []
    shapes = [tuple(tensor.shape) for tensor in inputs]
    if len(shapes) != 1 or len(shapes[0]) != _RANK or shapes[0][-1] is None:
        raise ConversionError(
            "a network must be functional or sequential, and take one image (N, H, W, C) of a "
            f"known number of channels; the inputs of {network.name} are {shapes or 'unknown'}"
        )
    return int(shapes[0][-1])


def _build(
    network: keras.Model, channels: int, stride: int, allow: Collection[str], output: int
) -> Conversion:
    image = keras.Input((None, None, channels), name="image")
    mask = keras.Input((None, None, 1), dtype="bool", name="mask")
    padded, padded_mask = PadToMultiple(stride, name="pad_canvas")([image, mask])
    masks = Masks(padded_mask)
    # Whatever stands under the mask, NaN included, goes before any arithmetic.
    filled = FillInvalid(name="fill_image")([padded, padded_mask])
    builder = Builder(masks, allow)
    features = Features(filled, Grid(), is_clean=True)
    scores = _finish(builder, _walk(builder, network, features, output))
    cropped = CropToSize(name="crop_canvas")([scores.x, mask])
    converted = keras.Model([image, mask], cropped, name=f"masked_{network.name}")
    radius = None if builder.is_unlimited or scores.grid is None else scores.grid.radius
    return Conversion(converted, masks.total_stride, radius, tuple(builder.notes))


def _walk(builder: Builder, network: keras.Model, features: Features, output: int) -> Any:
    found: Any = None
    try:
        found = keras.tree.flatten(builder.apply(network, features))
    except ValueError:
        if not builder.refusals:  # else what comes after a refused layer has no input
            raise
    builder.check_allowed()
    if builder.refusals:
        raise ConversionError(
            "every layer must have a masked one in its place; "
            f"{network.name} has {len(builder.refusals)} without: {'; '.join(builder.refusals)}"
        )
    return found[output]


def _finish(builder: Builder, scores: Features) -> Features:
    """Upsample scores to the image, and set invalid pixels to 0."""
    if scores.grid is None:
        raise ConversionError("the output must be scores of pixels; it is one for the whole image")
    stride = scores.grid.stride
    if stride > 1:
        masks = [builder.masks.at(stride), builder.masks.at(1)]
        x = MaskedUpSampling2D(stride, "bilinear", name="upsample_scores")([scores.x, *masks])
        grid = refine(scores.grid, stride, linear_reads(stride))
        scores = Features(x, grid, is_clean=True)
    return builder.masks.clean(scores)
