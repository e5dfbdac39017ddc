"""The network on strips: the same outputs, computed only where anything is valid."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model.layers import CoverageScale, MaskedConcatenate, MaskMaxPooling2D
from model.layers.strip_positions import PlanStrips, StripPositions
from model.layers.strips import (
    CropBorder,
    FindReflections,
    TakePixels,
    TakeReflections,
    TakeUpSampled,
)
from model.network import KERNEL_SIZE, Architecture, Level, NetworkConfig


def build_on_strips(config: NetworkConfig, architecture: Architecture) -> keras.Model:
    """Build the network on strips; see `model.layers.strips`.

    Args:
        config: its configuration.
        architecture: makes the layers, with convolutions of padding `"valid"`.

    Returns:
        A model from `[image, mask]`, as of `build_network`, to `[logits, places]`: float32
        (1, R, S, classes), and int32 (N, H', strips), which of these R rows holds each row of each
        strip of the canvases; see `place`. The logits are 0 where neither valid nor filled.
    """
    image = keras.Input((None, None, config.channels), name="image")
    mask = keras.Input((None, None, 1), dtype="bool", name="mask")
    border = _choose_border(config)
    if config.fill_levels:
        sources, filled = FindReflections(config.fill_levels, name="reflect")(mask)
        positions = _plan(filled, config)
        taken = TakeReflections(name="take_reflected")([image, sources, positions.pixels])
    else:
        positions = _plan(mask, config)
        taken = (TakePixels()([x, positions.pixels]) for x in (image, mask))
    x, valid = architecture.begin(*taken)
    levels = [_make_level(valid, config)]
    skips = []
    for depth, width in enumerate(config.widths):
        if depth:
            valid = MaskMaxPooling2D(2)(CropBorder(border)(levels[-1].mask))
            below = positions.down[depth - 1]
            levels.append(_make_level(TakePixels()([valid, below]), config))
            x = TakePixels()([keras.layers.MaxPooling2D(2)(x), below])
        apply = architecture.apply_block if len(config.widths) > 1 else architecture.classify
        x = _trim(apply(x, levels[-1], width, f"down{depth}"), config)
        skips.append(x)
    for depth in reversed(range(len(skips) - 1)):
        level, skip = levels[depth], skips[depth]
        if depth:
            skip = TakePixels()([skip, positions.skip[depth - 1]])
        else:
            level = Level(*(CropBorder(border)(part) for part in level))
        x = TakeUpSampled()([x, positions.up[depth], level.mask])
        x, _ = MaskedConcatenate(name=f"up{depth}_join")([x, level.mask, skip, level.mask])
        apply = architecture.apply_block if depth else architecture.classify
        x = _trim(apply(x, level, config.widths[depth], f"up{depth}"), config)
    return keras.Model([image, mask], [x, positions.places], name="unet_on_strips")


def place(x: Any, places: Any, mask: Any) -> Any:
    """Take what was computed on strips to the images.

    Args:
        x: (1, R, S, …), in the rows of the network's output.
        places: int32 (N, H', strips), from the network.
        mask: (N, H, W, 1), of which the size is read.

    Returns:
        (N, H, W, …).
    """
    strips = tf.gather(x[0], places)
    height, width = tf.unstack(tf.shape(mask)[1:3])
    sides, rest = tf.shape(strips)[:2], tf.shape(strips)[4:]
    images = tf.reshape(strips, tf.concat([sides, [-1], rest], 0))
    return images[:, :height, :width]


def _plan(mask: Any, config: NetworkConfig) -> StripPositions:
    planned = PlanStrips(len(config.widths), _choose_border(config), name="strips")(mask)
    return StripPositions(*planned)


def _choose_border(config: NetworkConfig) -> int:
    """Return the cells that a block takes away on each side: an even number."""
    return config.reach + config.reach % 2


def _make_level(mask: Any, config: NetworkConfig) -> Level:
    return Level(mask, CoverageScale(KERNEL_SIZE, config.normalization)(mask))


def _trim(x: Any, config: NetworkConfig) -> Any:
    """Crop what the kernels of a block have left of the border."""
    rest = _choose_border(config) - config.reach
    return CropBorder(rest)(x) if rest else x
