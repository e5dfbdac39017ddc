"""Labels that change when the same image is padded into a larger canvas.

    python benchmarks/padding.py [STEPS]

Compares the shipped model with two networks of the same shape, trained here on the same data for
STEPS batches (400 by default, a few minutes each): one of plain convolutions that sees the mean for
missing pixels, and one by the partial-convolution paper's recipe, whose mask grows from layer to
layer. Each image gets up to 64 pixels of padding on the right and at the bottom, all of it invalid;
what is counted are labels of the image's own valid pixels.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from model.baselines import BaselineNetwork
from model.layers import (
    CropToSize,
    FillInvalid,
    MaskedConcatenate,
    PadToMultiple,
    PartialConv2D,
)
from model.network import NetworkConfig, build_network, make_rescaling
from model.scoring.flips import Label, count_flips, draw_test_mosaics, label_with
from model.training.mosaics import PRESETS, fit

DEMO = Path(__file__).parents[1] / "service" / "demo" / "models" / "groundcover" / "1"


def build_textbook(config: NetworkConfig) -> keras.Model:
    """Build the U-Net of partial convolutions whose mask grows, as the paper describes it."""
    image, mask, x, valid = _begin(config)
    skips = []
    for depth, width in enumerate(config.widths):
        x, valid = _convolve_textbook(x, valid, width, config, strides=2 if depth else 1)
        skips.append((x, valid))
    for width, (skip, skip_valid) in list(zip(config.widths, skips, strict=True))[-2::-1]:
        grown = keras.layers.UpSampling2D(2)(keras.ops.cast(valid, "float32")) > 0
        up = keras.layers.UpSampling2D(2)(x)
        x, valid = MaskedConcatenate()([up, grown, skip, skip_valid])
        x, valid = _convolve_textbook(x, valid, width, config)
    return _end(image, mask, keras.layers.Conv2D(config.classes, 1)(x))


def _convolve_textbook(
    x: Any, valid: Any, width: int, config: NetworkConfig, strides: int = 1
) -> tuple[Any, Any]:
    for index in range(config.convs_per_level):
        conv = PartialConv2D(
            width, 3, strides=1 if index else strides, mask_update="any", use_bias=False
        )
        x, valid = conv([x, valid])
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return x, valid


def _begin(config: NetworkConfig) -> tuple[Any, Any, Any, Any]:
    image = keras.Input((None, None, config.channels), name="image")
    mask = keras.Input((None, None, 1), dtype="bool", name="mask")
    x, valid = PadToMultiple(config.total_stride)([image, mask])
    return image, mask, make_rescaling(config)(x), valid


def _end(image: Any, mask: Any, logits: Any) -> keras.Model:
    return keras.Model([image, mask], FillInvalid()([CropToSize()([logits, mask]), mask]))


def _build_plain(config: NetworkConfig) -> keras.Model:
    return build_network(config, BaselineNetwork(config, "mean"))


def _label_with_demo() -> Label:
    labels = tf.saved_model.load(str(DEMO)).signatures["labels"]

    def label(image: Any, mask: Any) -> Any:
        answer = labels(image=tf.constant(image[None].astype("f")), mask=mask[None, ..., None])
        return answer["labels"][0].numpy()

    return label


def main() -> None:
    """Train, count, print."""
    preset = PRESETS["groundcover"]
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    network_config = dataclasses.replace(preset.network, fill_levels=0)
    config = dataclasses.replace(preset, steps=steps, network=network_config)
    scenes = [(mosaic.image, mosaic.mask) for mosaic in draw_test_mosaics()]
    contestants = {"shipped": _label_with_demo()}
    for name, build in (("plain", _build_plain), ("textbook", build_textbook)):
        keras.utils.set_random_seed(config.seed)
        network = build(config.network)
        fit(network, config)
        contestants[name] = label_with(network)
    for name, label in contestants.items():
        print(f"{name:9} {count_flips(label, scenes)}")


if __name__ == "__main__":
    main()
