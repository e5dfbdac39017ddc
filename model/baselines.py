"""Networks of plain convolutions to compare the masked one with: of its shape, blind to masks.

What is missing is filled once, before the first convolution, as it is commonly done; then nothing
knows of it any more.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import ndimage

from model.layers import AppendMask, FillInvalid, PadToMultiple
from model.network import Architecture, Level, NetworkConfig, make_conv2d

Fill = Literal["zero", "mean", "mask", "nearest"]
FILLS: tuple[Fill, ...] = get_args(Fill)


@keras.saving.register_keras_serializable("lacuna")
class FillNearest(keras.layers.Layer):
    """Gives each invalid pixel what stands at the nearest valid one, by Euclidean distance.

    It is found in Python, so a network with this layer cannot be exported.

    Call arguments:
        inputs: `[x, mask]`: (N, H, W, C), bool (N, H, W, 1).

    Returns:
        Like x; 0 in an image without a valid pixel.
    """

    def call(self, inputs: Any) -> Any:
        """Find the nearest and gather."""
        x, mask = inputs
        size = tf.shape(x)
        places = tf.numpy_function(_find_nearest, [mask[..., 0]], tf.int32, stateful=False)
        places = tf.ensure_shape(places, (None, None))
        pixels = tf.reshape(x, [size[0], size[1] * size[2], x.shape[-1]])
        filled = tf.reshape(tf.gather(pixels, places, axis=1, batch_dims=1), size)
        filled = tf.ensure_shape(filled, x.shape)
        return tf.where(tf.reduce_any(mask, axis=(1, 2), keepdims=True), filled, 0)


def _find_nearest(masks: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give the row-major place of the valid pixel nearest to each, int32 (N, H · W)."""
    count, height, width = masks.shape
    places = np.zeros((count, height * width), np.int32)
    for place, mask in zip(places, masks, strict=True):
        if mask.any():
            rows, columns = ndimage.distance_transform_edt(
                ~mask, return_distances=False, return_indices=True
            )
            place[:] = (rows * width + columns).ravel()
    return places


class BaselineNetwork(Architecture):
    """How the parts of a plain network are made.

    Args:
        config: the network's shape.
        fill: what missing pixels become: `"zero"`; `"mean"`, the value that rescaling makes 0;
            `"mask"`, 0 with the mask as a further channel of the image; `"nearest"`, the value of
            the nearest valid pixel.
        folded: make the exported form, a convolution with bias and a ReLU, instead of the one to
            train, in which batch normalisation stands between them.

    Raises:
        ValueError: if `fill` is another.
    """

    def __init__(self, config: NetworkConfig, fill: Fill = "zero", *, folded: bool = False) -> None:
        super().__init__(config)
        if fill not in FILLS:
            raise ValueError(f"`fill` must be one of {', '.join(FILLS)}. Received: {fill!r}")
        self.fill = fill
        self.folded = folded

    def begin(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """Pad, fill what is missing, rescale."""
        config = self.config
        x, mask = PadToMultiple(config.total_stride, name="pad")([image, mask])
        missing = config.pixel_mean if self.fill == "mean" else 0.0
        fill = (
            FillNearest(name="fill")
            if self.fill == "nearest"
            else FillInvalid(missing, name="fill")
        )
        x = fill([x, mask])
        scale, offset = 1.0 / config.pixel_scale, -config.pixel_mean / config.pixel_scale
        x = keras.layers.Rescaling(scale, offset, name="rescale")(x)
        return AppendMask(name="append_mask")([x, mask]) if self.fill == "mask" else x, mask

    def apply_unit(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, normalise, rectify."""
        return keras.layers.ReLU(name=f"{name}_relu")(self.apply_affine(x, level, width, name))

    def apply_affine(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, normalise."""
        del level
        x = self.convolve(x, width, name, use_bias=self.folded)
        return x if self.folded else keras.layers.BatchNormalization(name=f"{name}_norm")(x)

    def add_shortcut(self, x: Any, shortcut: Any, level: Level, width: int, name: str) -> Any:
        """Add a level's input, brought to its width, and rectify."""
        del level
        if shortcut.shape[-1] != width:
            shortcut = make_conv2d(width, 1, name, use_bias=True)(shortcut)
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def upsample(self, x: Any, level: Level, name: str) -> Any:
        """Go to the next finer level."""
        del level
        return keras.layers.UpSampling2D(2, name=name)(x)
