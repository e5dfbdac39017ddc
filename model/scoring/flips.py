"""Count of the labels that change when only the canvas does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.data.mosaics import Mosaic, MosaicConfig, draw_mosaic
from model.data.textures import load_textures

MAX_PADDING = 64
"""Largest number of pixels to add on the right, and at the bottom."""

_SEED = 0
"""Of the amounts of padding."""

Scene = tuple[NDArray[Any], NDArray[np.bool_]]
"""An image (H, W, C) and its mask (H, W)."""

Label = Callable[[NDArray[Any], NDArray[np.bool_]], NDArray[np.integer[Any]]]
"""Function that labels an image, (H, W)."""


class Flips(NamedTuple):
    """Labels that changed with the canvas.

    Attributes:
        labels: number of changed labels of valid pixels.
        pixels: number of valid pixels.
        images: number of images with a changed label.
        of_images: number of images.
    """

    labels: int
    pixels: int
    images: int
    of_images: int

    def __str__(self) -> str:
        share = self.labels / max(self.pixels, 1)
        return (
            f"{self.labels:,} of {self.pixels:,} labels ({share:.2%}), "
            f"in {self.images} of {self.of_images} images"
        )


def count_flips(label: Label, scenes: Iterable[Scene]) -> Flips:
    """Label images as they are and padded, and count the labels of valid pixels that differ.

    Args:
        label: labels an image.
        scenes: the images; each is padded by 1 to `MAX_PADDING` invalid rows and columns.
    """
    rng = np.random.default_rng(_SEED)
    labels = pixels = images = of_images = 0
    for image, mask in scenes:
        height, width = mask.shape
        around = [(0, int(rng.integers(1, MAX_PADDING + 1))) for _ in range(2)]
        before = label(image, mask)
        after = label(np.pad(image, [*around, (0, 0)]), np.pad(mask, around))
        flipped = int(np.count_nonzero((before != after[:height, :width]) & mask))
        labels, pixels = labels + flipped, pixels + int(mask.sum())
        images, of_images = images + (flipped > 0), of_images + 1
    return Flips(labels, pixels, images, of_images)


def label_with(network: keras.Model) -> Label:
    """Return a function that labels single images by a network from `[image, mask]` to logits."""

    def compute(image: Any, mask: Any) -> Any:
        return tf.argmax(network([image, mask], training=False), axis=-1)

    channels = network.inputs[0].shape[-1]
    traced = tf.function(
        compute,
        input_signature=[
            tf.TensorSpec((None, None, None, channels), tf.float32),
            tf.TensorSpec((None, None, None, 1), tf.bool),
        ],
        autograph=False,
    )

    def label(image: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.asarray(traced(image[None].astype(np.float32), mask[None, ..., None]))[0]

    return label


def draw_test_mosaics(count: int = 100) -> Iterator[Mosaic]:
    """Draw mosaics of textures held out from training, with sides from 24 to 192 pixels."""
    rng = np.random.default_rng(2)
    textures = load_textures("test")
    for _ in range(count):
        height, width = np.exp(rng.uniform(np.log(24), np.log(192), 2)).astype(int)
        config = MosaicConfig(size=(int(height), int(width)), zoom=(1.0, 1.0), missing=(0.1, 0.6))
        yield draw_mosaic(rng, textures, config)
