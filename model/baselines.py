"""Baseline networks for comparison: plain convolutions in the masked network's architecture.

Missing pixels are filled once, before the first convolution, as is common practice. The layers
after it do not use the mask.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from model.fills import FILLS_OF_GAPS, fill_images, find_fill
from model.layers import AppendMask, FillInvalid, PadToMultiple
from model.network import (
    Architecture,
    Level,
    NetworkConfig,
    is_projected,
    make_conv2d,
    make_rescaling,
)

Fill = Literal["zero", "mean", "mask", "nearest", "telea", "linear"]
FILLS: tuple[Fill, ...] = get_args(Fill)


def check_twin(twin: str | None) -> None:
    """Check the fill of a training's twin, which is None for a masked network.

    Raises:
        ValueError: if it is not one of `FILLS`.
    """
    if twin is not None and twin not in FILLS:
        raise ValueError(f"`twin` must be one of {', '.join(FILLS)}. Received: {twin!r}")


def check_fill(fill: str) -> None:
    """Check that a baseline network can be built.

    Raises:
        ValueError: if `fill` is not one of `FILLS`.
        MissingExtraError: if it needs an extra that is not installed.
    """
    if fill not in FILLS:
        raise ValueError(f"`fill` must be one of {', '.join(FILLS)}. Received: {fill!r}")
    if fill in FILLS_OF_GAPS:
        find_fill(fill)


@keras.saving.register_keras_serializable("lacuna")
class FillGaps(keras.layers.Layer):
    """Fill of invalid pixels from the valid ones around them.

    The fill runs in Python, so a network with this layer cannot be exported, and nothing before it
    can be trained.

    Args:
        fill: a name in `model.fills.FILLS_OF_GAPS`.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: (N, H, W, C), bool (N, H, W, 1).

    Returns:
        Like x, which is returned as it is where no pixel is invalid; 0 in an image without a valid
        pixel.

    Raises:
        ValueError: if there is no such fill.
        MissingExtraError: if it needs an extra that is not installed.
    """

    def __init__(self, fill: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fill = fill
        self._function = partial(fill_images, find_fill(fill))

    def call(self, inputs: Any) -> Any:
        """Fill each image."""
        x, mask = inputs
        filled = tf.numpy_function(self._function, [x, mask[..., 0]], x.dtype, stateful=False)
        return tf.ensure_shape(filled, x.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "fill": self.fill}


class BaselineNetwork(Architecture):
    """Layers of a baseline network.

    Args:
        config: configuration of the network.
        fill: value of missing pixels: `"zero"`; `"mean"`, the value that rescaling turns into 0;
            `"mask"`, 0 with the mask as a further channel of the image; `"nearest"`, the value of
            the nearest valid pixel; `"telea"`, OpenCV's inpainting; `"linear"`, between the valid
            pixels around the gap.
        folded: make the layers of the exported network, a convolution with bias and a ReLU,
            instead of those to train, which have batch normalisation between them.

    Raises:
        ValueError: if `fill` is not one of these, or the configuration fills by reflection.
        MissingExtraError: if it needs an extra that is not installed.
    """

    def __init__(self, config: NetworkConfig, fill: Fill = "zero", *, folded: bool = False) -> None:
        super().__init__(config)
        if config.fill_levels:
            raise ValueError(
                f"`config` must have no fill levels, since `fill` is {fill!r}. "
                f"Received: {config.fill_levels}"
            )
        check_fill(fill)
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
            fill = FillGaps(self.fill, name="fill") if self.fill in FILLS_OF_GAPS else fill
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
        if is_projected(shortcut, width, name):
            shortcut = make_conv2d(width, 1, name, use_bias=True)(shortcut)
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def upsample(self, x: Any, level: Level, name: str) -> Any:
        """Upsample to the next finer level."""
        del level
        return keras.layers.UpSampling2D(2, name=name)(x)
