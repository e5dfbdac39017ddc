"""Small networks in the styles of other people, with random weights that make varied labels."""

import keras
import numpy as np
from keras import layers

SIDE = 64


def unet():
    """Make a plain U-Net: strided convolutions with SAME down, transposed ones up."""
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    skips = []
    for width in (8, 12):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        skips.append(x)
        x = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.2)(x)
    for width, skip in zip((12, 8), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(width, 3, strides=2, padding="same")(x)
        x = layers.concatenate([x, skip])
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    return vary(keras.Model(image, layers.Conv2D(4, 1, activation="softmax")(x), name="unet"))


def mobilenet():
    """Make a network like MobileNetV2: ReLU6, depthwise convolutions, padding before strides."""
    image = keras.Input((None, None, 3))
    x = image / 127.5 - 1.0
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = _invert(x, 8, 1)
    x = _invert(x, 12, 2)
    x = _invert(x, 12, 1)
    x = layers.UpSampling2D(4, interpolation="bilinear")(x)
    return vary(keras.Model(image, layers.Conv2D(4, 1)(x), name="mobilenet"))


def _invert(x, width, stride):
    """Apply an inverted residual."""
    before = x
    x = layers.Conv2D(2 * x.shape[-1], 1, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    if stride == 2:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(
        3, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False
    )(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(width, 1, use_bias=False)(x))
    return layers.Add()([before, x]) if stride == 1 and before.shape[-1] == width else x


def deeplab(*, pools_image=True):
    """Make a network like DeepLab: dilation, image pooling, a decoder at a quarter."""
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 255)(image)
    low = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(low)
    branches = [
        layers.Conv2D(8, 1, activation="relu")(x),
        layers.SeparableConv2D(8, 3, dilation_rate=2, padding="same", activation="relu")(x),
        layers.Conv2D(8, 3, dilation_rate=4, padding="same", activation="relu")(x),
    ]
    x = layers.Concatenate()(branches)
    x = layers.Conv2D(12, 1, use_bias=False)(x)
    if pools_image:
        pooled = layers.GlobalAveragePooling2D(name="image_pooling")(x)
        pooled = layers.Dense(12, activation="sigmoid")(layers.Reshape((1, 1, 12))(pooled))
        x = layers.Multiply()([x, pooled])
    x = layers.Activation("swish")(layers.BatchNormalization()(x))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Concatenate()([x, layers.Conv2D(4, 1)(low)])
    return vary(keras.Model(image, layers.Conv2D(4, 1, padding="same")(x), name="deeplab"))


def segnet():
    """Make a network like SegNet: blocks with batch normalisation, pooled, repeated; nested."""
    encoder = keras.Sequential(name="encoder")
    encoder.add(keras.Input((None, None, 3)))
    encoder.add(layers.Rescaling(1 / 255))
    for width in (8, 12):
        encoder.add(layers.Conv2D(width, 3, padding="same"))
        encoder.add(layers.BatchNormalization())
        encoder.add(layers.LeakyReLU())
        encoder.add(layers.MaxPooling2D())
    image = keras.Input((None, None, 3))
    x = encoder(image)
    for width in (12, 8):
        x = layers.UpSampling2D()(x)
        x = layers.Conv2D(width, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(1, 1, activation="sigmoid")(x)
    return vary(keras.Model(image, x, name="segnet"))


def vary(network, seed=0):
    """Set every weight to a value as after training: offsets and averages, too."""
    rng = np.random.default_rng(seed)
    values = []
    for weight in network.weights:
        shape, name = weight.shape, weight.name
        if len(shape) >= 2:
            fan = max(np.prod(shape[:-1]), 1)
            value = rng.normal(0, (2.5 / fan) ** 0.5, shape)
        elif name in ("gamma", "moving_variance"):
            value = rng.uniform(0.6, 1.4, shape)
        else:
            value = rng.normal(0, 0.2, shape)
        values.append(value.astype(np.float32))
    network.set_weights(values)
    return network


def draw_image(height=SIDE, width=SIDE, seed=0):
    """Draw an image with structure: float32 (1, H, W, 3), 0 to 255."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 4 + 1, width // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)
    values = 0.6 * coarse[:height, :width] + 0.4 * rng.random((height, width, 3))
    return (255 * values[None]).astype(np.float32)
