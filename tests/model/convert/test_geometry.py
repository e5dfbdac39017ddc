"""Windows are where TensorFlow puts them for sides that are multiples of the stride."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from model.convert import convert

CASES = {
    "strided": lambda: layers.Conv2D(2, 3, strides=2, padding="same"),
    "strided 4": lambda: layers.Conv2D(2, 7, strides=4, padding="same"),
    "even": lambda: layers.Conv2D(2, 4, padding="same"),
    "even and strided": lambda: layers.Conv2D(2, (4, 2), strides=2, padding="same"),
    "pixel of a cell": lambda: layers.Conv2D(2, 1, strides=2),
    "dilated": lambda: layers.Conv2D(2, 3, dilation_rate=(2, 3), padding="same"),
    "groups": lambda: layers.Conv2D(4, 3, groups=2, padding="same"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
    "separable": lambda: layers.SeparableConv2D(4, 5, padding="same", activation="tanh"),
    "maximum": lambda: layers.MaxPooling2D(3, strides=2, padding="same"),
    "mean": lambda: layers.AveragePooling2D(3, strides=2, padding="same"),
    "padded before": lambda: keras.Sequential(
        [layers.ZeroPadding2D(3), layers.Conv2D(4, 7, strides=2)]
    ),
    "there and back": lambda: keras.Sequential(
        [layers.Conv2D(4, 2, strides=2), layers.Conv2DTranspose(2, 4, 2, padding="same")]
    ),
    "transposed and cropped": lambda: keras.Sequential(
        [
            layers.MaxPooling2D(),
            layers.Conv2DTranspose(2, 4, 2),
            layers.Cropping2D(1),
        ]
    ),
    "interpolated": lambda: keras.Sequential(
        [layers.AveragePooling2D(4), layers.UpSampling2D(4, interpolation="bilinear")]
    ),
    "slopes": lambda: layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_uniform"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_layer_on_a_complete_image_is_the_plain_layer_away_from_the_border(case):
    side, border = 32, 12
    image = keras.Input((None, None, 4))
    network = keras.Model(image, CASES[case]()(image))
    x = np.random.default_rng(0).normal(size=(1, side, side, 4)).astype(np.float32)
    expected = network(x)
    conversion = convert(network)
    found = conversion.network([x, np.ones((1, side, side, 1), bool)])

    # Scores at a fraction of the resolution are upsampled.
    expected = tf.image.resize(expected, (side, side))
    inner = np.s_[0, border:-border, border:-border]
    np.testing.assert_allclose(found[inner], expected[inner], atol=2e-6)
    assert conversion.receptive_radius <= border


def test_convolutions_without_padding_keep_the_place_of_their_pixels():
    image = keras.Input((None, None, 3))
    skip = layers.Cropping2D(2)(image)
    x = layers.Conv2D(3, 3)(layers.Conv2D(3, 3, activation="relu")(image))
    network = keras.Model(image, layers.Add()([skip, x]))
    pixels = np.random.default_rng(0).normal(size=(1, 12, 15, 3)).astype(np.float32)
    found = convert(network).network([pixels, np.ones((1, 12, 15, 1), bool)])

    np.testing.assert_allclose(found[:, 2:-2, 2:-2], network(pixels), atol=1e-6)
