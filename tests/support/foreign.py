"""Small segmentation networks as other people write them, with weights at random."""

from __future__ import annotations

import keras
import numpy as np
import onnx
from keras import layers
from onnx import TensorProto, helper, numpy_helper


def plain_unet(classes=3, activation=None, size=None, channels=3):
    """U-Net of strided SAME convolutions and transposed convolutions with kernels over strides."""
    keras.utils.set_random_seed(1)
    image = keras.Input((size, size, channels), name="pixels")
    first = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    half = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(first)
    quarter = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(half)
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(quarter)
    x = layers.Concatenate()([x, half])
    x = layers.Conv2DTranspose(6, 2, strides=2, padding="same", activation="relu")(x)
    x = layers.Concatenate()([x, first])
    return keras.Model(image, layers.Conv2D(classes, 1, activation=activation)(x))


def mobile_encoder_decoder(classes=3):
    """Encoder of inverted residuals with ReLU6, decoder by upsampling; softmax at half the size."""
    keras.utils.set_random_seed(2)
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, "same")(x)))
    skip = x
    x = layers.ReLU(6)(layers.DepthwiseConv2D(3, 2, "same")(layers.Conv2D(12, 1)(x)))
    x = layers.Conv2D(8, 1)(x)
    wide = layers.ReLU(6)(layers.DepthwiseConv2D(3, padding="same")(layers.Conv2D(12, 1)(x)))
    x = layers.Add()([x, layers.Conv2D(8, 1)(wide)])
    x = layers.Concatenate()([layers.UpSampling2D(2)(x), skip])
    x = layers.Conv2D(classes, 3, padding="same")(x)
    return keras.Model(image, layers.Softmax()(x))


def image_pooling(classes=3):
    """Dilated convolutions beside the mean of the whole image, as in DeepLab."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, 2, "same", activation="relu")(image)
    dilated = layers.Conv2D(8, 3, padding="same", dilation_rate=2, activation="relu")(x)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
    pooled = layers.Conv2D(8, 1, activation="relu")(pooled)
    x = layers.Conv2D(classes, 1)(layers.Add()([dilated, pooled]))
    return keras.Model(image, layers.UpSampling2D(2, interpolation="bilinear")(x))


def segnet(size=None):
    """Pooling down, upsampling back, and one sigmoid."""
    keras.utils.set_random_seed(4)
    image = keras.Input((size, size, 3))
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, padding="same", activation="relu")(image))
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, padding="same", activation="relu")(x))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.UpSampling2D()(x))
    x = layers.UpSampling2D()(x)
    return keras.Model(image, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


def pixelwise(classes=3):
    """Classifier of single pixels, which keeps the promise as it is."""
    keras.utils.set_random_seed(5)
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 1, activation="relu")(image)
    return keras.Model(image, layers.Conv2D(classes, 1)(x))


def write_torch_unet(path, classes=3, size=None, batch="batch", opset=17, domain=""):
    """Write a U-Net of channels-first convolutions, as `torch.onnx.export` does.

    Returns:
        The function from float32 (N, 3, H, W) to logits, of the ONNX reference in NumPy.
    """
    rng, nodes, weights = np.random.default_rng(0), [], []

    def add_weight(name, *shape):
        values = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    def convolve(x, name, given, made, kernel=3, stride=1):
        names = [x, add_weight(f"{name}.weight", made, given, kernel, kernel)]
        sides = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        nodes.append(
            helper.make_node("Conv", [*names, add_weight(name, made)], [name + "/y"], **sides)
        )
        return name + "/y"

    def rectify(x):
        nodes.append(helper.make_node("Relu", [x], [x + "/relu"]))
        return x + "/relu"

    first = rectify(convolve("input", "encoder.0", 3, 6))
    half = rectify(convolve(first, "encoder.1", 6, 8, stride=2))
    up = [half, add_weight("up.weight", 8, 6, 2, 2)]
    nodes.append(helper.make_node("ConvTranspose", up, ["up"], kernel_shape=[2, 2], strides=[2, 2]))
    nodes.append(helper.make_node("Concat", ["up", first], ["skip"], axis=1))
    head = convolve("skip", "head", 12, classes)
    nodes.append(helper.make_node("Identity", [head], ["logits"]))
    height, width = size or ("height", "width")
    tensors = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, channels, height, width])]
        for name, channels in (("input", 3), ("logits", classes))
    ]
    graph = helper.make_graph(nodes, "main_graph", *tensors, weights)
    for node in nodes:
        node.domain = domain
    opsets = [helper.make_opsetid(domain, opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
