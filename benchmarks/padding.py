"""How many labels change when the same image is padded into a larger canvas?

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model.data.mosaics import Mosaic, MosaicConfig, draw_mosaic
from model.data.textures import load_textures
from model.layers import (
    CropToSize,
    FillInvalid,
    MaskedConcatenate,
    PadToMultiple,
    PartialConv2D,
)
from model.network import NetworkConfig, build_network
from model.train import PRESETS, fit
from model.twins import PlainForm

DEMO = Path(__file__).parents[1] / "service" / "demo" / "models" / "groundcover" / "1"

Predict = Callable[[Any, Any], Any]


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
    scale = 1.0 / config.pixel_scale
    return image, mask, keras.layers.Rescaling(scale, -config.pixel_mean * scale)(x), valid


def _end(image: Any, mask: Any, logits: Any) -> keras.Model:
    return keras.Model([image, mask], FillInvalid()([CropToSize()([logits, mask]), mask]))


def draw_test_mosaics(count: int) -> Iterator[Mosaic]:
    """Draw mosaics of textures held out from training, with sides from 24 to 192 pixels."""
    rng = np.random.default_rng(2)
    textures = load_textures("test")
    for _ in range(count):
        height, width = np.exp(rng.uniform(np.log(24), np.log(192), 2)).astype(int)
        config = MosaicConfig(size=(int(height), int(width)), zoom=(1.0, 1.0), missing=(0.1, 0.6))
        yield draw_mosaic(rng, textures, config)


def count_changed(predict: Predict, mosaics: Sequence[Mosaic]) -> tuple[int, int, int]:
    """Count labels that change with the canvas, valid pixels, and images in which any changes."""
    rng = np.random.default_rng(0)
    changed = pixels = images = 0
    for mosaic in mosaics:
        height, width = mosaic.mask.shape
        grown = [(0, int(rng.integers(1, 65))), (0, int(rng.integers(1, 65)))]
        image = np.pad(mosaic.image, [*grown, (0, 0)])
        before = predict(mosaic.image, mosaic.mask)
        after = predict(image, np.pad(mosaic.mask, grown))[:height, :width]
        different = int(np.count_nonzero((before != after) & mosaic.mask))
        changed += different
        images += different > 0
        pixels += int(mosaic.mask.sum())
    return changed, pixels, images


def _predict_with(network: keras.Model) -> Predict:
    def predict(image: Any, mask: Any) -> Any:
        return np.argmax(network([image[None].astype("f"), mask[None, ..., None]])[0], axis=-1)

    return predict


def _build_plain(config: NetworkConfig) -> keras.Model:
    return build_network(config, PlainForm(config, "mean"))


def _predict_with_demo() -> Predict:
    labels = tf.saved_model.load(str(DEMO)).signatures["labels"]

    def predict(image: Any, mask: Any) -> Any:
        answer = labels(image=tf.constant(image[None].astype("f")), mask=mask[None, ..., None])
        return answer["labels"][0].numpy()

    return predict


def main() -> None:
    """Train, count, print."""
    preset = PRESETS["groundcover"]
    config = dataclasses.replace(preset, steps=int(sys.argv[1]) if len(sys.argv) > 1 else 400)
    mosaics = list(draw_test_mosaics(100))
    contestants = {"shipped": _predict_with_demo()}
    for name, build in (("plain", _build_plain), ("textbook", build_textbook)):
        keras.utils.set_random_seed(config.seed)
        network = build(config.network)
        fit(network, config)
        contestants[name] = _predict_with(network)
    for name, predict in contestants.items():
        changed, pixels, images = count_changed(predict, mosaics)
        print(
            f"{name:9} {changed:6} of {pixels} labels ({changed / pixels:.2%}), "
            f"in {images} of {len(mosaics)} images"
        )


if __name__ == "__main__":
    main()
