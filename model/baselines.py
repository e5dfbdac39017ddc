"""Baseline networks for comparison: plain convolutions in the masked network's architecture.

Missing pixels are filled once, before the first convolution, as is common practice. The layers
after it do not use the mask.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import ndimage

from model.layers import AppendMask, FillInvalid, PadToMultiple
from model.network import Architecture, Level, NetworkConfig, make_conv2d, make_rescaling

Fill = Literal["zero", "mean", "mask", "nearest"]
FILLS: tuple[Fill, ...] = get_args(Fill)


@keras.saving.register_keras_serializable("lacuna")
class FillNearest(keras.layers.Layer):
    """Fill of each invalid pixel with the value of the nearest valid one, by Euclidean distance.

    The search runs in Python, so a network with this layer cannot be exported.

    Call arguments:
        inputs: `[x, mask]`: (N, H, W, C), bool (N, H, W, 1).

    Returns:
        Like x; 0 in an image without a valid pixel.
    """

    def call(self, inputs: Any) -> Any:
        """Find the nearest valid pixels and gather their values."""
        x, mask = inputs
        size = tf.shape(x)
        indices = tf.numpy_function(_find_nearest, [mask[..., 0]], tf.int32, stateful=False)
        indices = tf.ensure_shape(indices, (None, None))
        pixels = tf.reshape(x, [size[0], size[1] * size[2], x.shape[-1]])
        filled = tf.reshape(tf.gather(pixels, indices, axis=1, batch_dims=1), size)
        filled = tf.ensure_shape(filled, x.shape)
        return tf.where(tf.reduce_any(mask, axis=(1, 2), keepdims=True), filled, 0)


def _find_nearest(masks: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the row-major index of the valid pixel nearest to each pixel, int32 (N, H · W)."""
    count, height, width = masks.shape
    indices = np.zeros((count, height * width), np.int32)
    for index, mask in zip(indices, masks, strict=True):
        if mask.any():
            rows, columns = ndimage.distance_transform_edt(
                ~mask, return_distances=False, return_indices=True
            )
            index[:] = (rows * width + columns).ravel()
    return indices


class BaselineNetwork(Architecture):
    """Layers of a baseline network.

    Args:
        config: configuration of the network.
        fill: value of missing pixels: `"zero"`; `"mean"`, the value that rescaling turns into 0;
            `"mask"`, 0 with the mask as a further channel of the image; `"nearest"`, the value of
            the nearest valid pixel.
        folded: make the layers of the exported network, a convolution with bias and a ReLU,
            instead of those to train, which have batch normalisation between them.

    Raises:
        ValueError: if `fill` is not one of these.
    """

    def __init__(self, config: NetworkConfig, fill: Fill = "zero", *, folded: bool = False) -> None:
        super().__init__(config)
        if fill not in FILLS:
            raise ValueError(f"`fill` must be one of {', '.join(FILLS)}. Received: {fill!r}")
        self.fill = fill
        self.folded = folded

    def begin(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """Pad, fill missing pixels, rescale."""
        config = self.config
        x, mask = PadToMultiple(config.total_stride, name="pad")([image, mask])
        rescale, fill = make_rescaling(config), FillInvalid(name="fill")
        if self.fill == "mean":
            x = fill([rescale(x), mask])
        else:
            fill = FillNearest(name="fill") if self.fill == "nearest" else fill
            x = rescale(fill([x, mask]))
        return AppendMask(name="append_mask")([x, mask]) if self.fill == "mask" else x, mask

    def apply_unit(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, normalise, apply ReLU."""
        return keras.layers.ReLU(name=f"{name}_relu")(self.apply_affine(x, level, width, name))

    def apply_affine(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, normalise."""
        del level
        x = self.convolve(x, width, name, use_bias=self.folded)
        return x if self.folded else keras.layers.BatchNormalization(name=f"{name}_norm")(x)

    def add_shortcut(self, x: Any, shortcut: Any, level: Level, width: int, name: str) -> Any:
        """Add a level's input, projected to its width, and apply ReLU."""
        del level
        if shortcut.shape[-1] != width:
            shortcut = make_conv2d(width, 1, name, use_bias=True)(shortcut)
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def upsample(self, x: Any, level: Level, name: str) -> Any:
        """Upsample to the next finer level."""
        del level
        return keras.layers.UpSampling2D(2, name=name)(x)
