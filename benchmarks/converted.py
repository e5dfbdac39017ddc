"""Cost of conversion: a converted network's time as a ratio to the original's, all valid.

    python benchmarks/converted.py [ROUNDS]

A U-Net of convolutions with batch normalisation, as other people write it, is frozen as
`lacuna-model adopt` does, plain and with --masked. Both run alternating on one thread. Printed are
the medians, over ROUNDS rounds (15 by default), of the processor time of a call, and of the ratio
within a round.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from model.adopt.keras_files import describe_network
from model.adopt.masking import freeze_masked
from model.convert import convert, fold

SIDES = (256, 512)
WIDTHS = ((16, 32, 64), (64, 128, 256))


def build_unet(widths: tuple[int, ...]) -> keras.Model:
    """Build a U-Net with weights, and averages, at random."""
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 255)(image)
    skips = []
    for depth, width in enumerate(widths):
        x = layers.MaxPooling2D()(x) if depth else x
        x = _apply_block(x, width)
        skips.append(x)
    for width, skip in zip(widths[-2::-1], skips[-2::-1], strict=True):
        x = layers.Conv2DTranspose(width, 2, strides=2, padding="same")(x)
        x = _apply_block(layers.Concatenate()([x, skip]), width)
    network = keras.Model(image, layers.Conv2D(4, 1)(x))
    for weight in network.weights:
        # Zeros would be folded away.
        weight.assign(weight + 0.01 * abs(keras.random.normal(weight.shape)))
    return network


def _apply_block(x: Any, width: int) -> Any:
    for _ in range(2):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return x


def time_call(function: Any, *inputs: Any) -> float:
    """Return the processor seconds of one call, its result included."""
    began = time.process_time()
    np.asarray(function(*inputs))
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for widths in WIDTHS:
        network = build_unet(widths)
        plain = tf.function(
            describe_network(network).graph,
            input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)],
            autograph=False,
        )
        masked = freeze_masked(fold(convert(network).network))
        for side in SIDES:
            print(f"U-Net of widths {widths}, {side}²: {compare(masked, plain, side, rounds)}")


def compare(masked: Any, plain: Any, side: int, rounds: int) -> str:
    """Measure both on an image of a size."""
    image = tf.constant(np.random.default_rng(0).uniform(0, 255, (1, side, side, 3)), "float32")
    mask = tf.ones((1, side, side, 1), tf.bool)
    times = [(time_call(masked, image, mask), time_call(plain, image)) for _ in range(2 + rounds)]
    ratio = statistics.median(one / other for one, other in times[2:])
    ours, theirs = (statistics.median(column) * 1000 for column in zip(*times[2:], strict=True))
    return f"converted {ours:.0f} ms, plain {theirs:.0f} ms: {ratio:.2f} × plain"


if __name__ == "__main__":
    main()
