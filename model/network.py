"""A U-Net of masked convolutions whose result does not depend on how far its input is padded.

Each level of resolution has one mask and one coverage map c, k² / (number of valid pixels under the
kernel) and 0 where invalid, and every unit there is a partial convolution:

    y = where(mask, relu(affine(conv(x) * c)), 0)

Its input is 0 at invalid pixels already, so it need not be masked again.

`fold_batch_norm` makes the form that is exported. There the mask travels as one more channel of the
features. Convolved with 1 / k² it is 1 / c, so an offset b multiplied by it and then by c is b
again, and the same product restores the channel itself to the mask:

    y = relu(conv([x, mask])) * c

One convolution and one product do all of it, batch normalisation included. The maximum of a cell of
the mask channel is the coarser mask, and cutting an upsampled one with the finer mask gives the
finer mask, so the channel is right at every level (docs/decisions/0002).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from model.layers import (
    AppendMask,
    CoverageScale,
    CropToSize,
    FillInvalid,
    MaskedBatchNormalization,
    MaskedConcatenate,
    MaskedUpSampling2D,
    MaskMaxPooling2D,
    PadToMultiple,
)

KERNEL_SIZE = 3


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a network.

    Attributes:
        channels: of the image.
        classes: number of classes, 2 to 255: label 255 means invalid.
        widths: channels of each level, finest first; the resolution halves from one to the next.
            The exported form adds one, and vector units like multiples of 16.
        convs_per_level: 3×3 convolutions in each level, on the way down and again on the way up.
        pixel_mean: image value that becomes 0.
        pixel_scale: image values are divided by this after `pixel_mean` is taken off.

    Raises:
        ValueError: if a value is out of its range.
    """

    channels: int = 3
    classes: int = 3
    widths: tuple[int, ...] = (15, 31, 47, 63)
    convs_per_level: int = 2
    pixel_mean: float = 127.5
    pixel_scale: float = 64.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"`widths` must be positive, one a level. Received: {self.widths}")
        if self.channels < 1 or self.convs_per_level < 1 or self.pixel_scale <= 0:
            raise ValueError(
                "`channels`, `convs_per_level` and `pixel_scale` must be positive. Received: "
                f"{self.channels}, {self.convs_per_level}, {self.pixel_scale}"
            )
        if not 2 <= self.classes <= 255:
            raise ValueError(f"`classes` must be 2 to 255. Received: {self.classes}")

    @property
    def total_stride(self) -> int:
        """Pixels of the image to one cell of the coarsest level."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def receptive_radius(self) -> int:
        """Distance in pixels, along an axis, beyond which nothing can reach an output pixel.

        A convolution at level l reaches one cell of 2**l pixels further. Every level but the
        coarsest is passed twice. Between pixels of one coarsest cell lie up to 2**L - 1 more.
        """
        reach = self.convs_per_level * (KERNEL_SIZE // 2)
        finer = sum(2 * reach * 2**level for level in range(len(self.widths) - 1))
        return int(finer + reach * self.total_stride + self.total_stride - 1)

    def to_json(self) -> dict[str, Any]:
        """Give the fields as JSON values."""
        return dataclasses.asdict(self)


class _Level(NamedTuple):
    mask: Any
    coverage: Any


def build_network(config: NetworkConfig, *, folded: bool = False) -> keras.Model:
    """Build the network.

    Args:
        config: its shape.
        folded: build the inference form, in which batch normalisation is part of the convolutions
            and the mask is a channel of the features. `fold_batch_norm` gives it its weights.

    Returns:
        A model from `[image, mask]`, float32 (N, H, W, channels) raw values and bool (N, H, W, 1),
        any H and W ≥ 1, to logits float32 (N, H, W, classes), 0 where invalid.
    """
    convolve = _convolve_folded if folded else _convolve
    image = keras.Input((None, None, config.channels), name="image")
    mask = keras.Input((None, None, 1), dtype="bool", name="mask")
    x, padded_mask = PadToMultiple(config.total_stride, name="pad")([image, mask])
    x = keras.layers.Rescaling(
        1.0 / config.pixel_scale, -config.pixel_mean / config.pixel_scale, name="rescale"
    )(x)
    x = FillInvalid(name="fill")([x, padded_mask])
    if folded:
        x = AppendMask(name="append_mask")([x, padded_mask])

    levels = _build_levels(padded_mask, config)
    skips = []
    for depth, level in enumerate(levels):
        if depth:
            # After a ReLU valid values are ≥ 0 and invalid ones 0, so a plain maximum is a masked
            # one.
            x = keras.layers.MaxPooling2D(2, name=f"down{depth}_pool")(x)
        for index in range(config.convs_per_level):
            x = convolve(x, level, config.widths[depth], f"down{depth}_conv{index}")
        skips.append(x)
    for depth in reversed(range(len(levels) - 1)):
        level = levels[depth]
        x = MaskedUpSampling2D(2, name=f"up{depth}_upsample")([x, level.mask])
        x, _ = MaskedConcatenate(name=f"up{depth}_join")([x, level.mask, skips[depth], level.mask])
        for index in range(config.convs_per_level):
            x = convolve(x, level, config.widths[depth], f"up{depth}_conv{index}")
    logits = keras.layers.Conv2D(config.classes, 1, name="logits")(x)
    logits = CropToSize(name="crop")([logits, mask])
    logits = FillInvalid(name="output")([logits, mask])
    return keras.Model([image, mask], logits, name="masked_unet")


def _build_levels(mask: Any, config: NetworkConfig) -> list[_Level]:
    levels = []
    for depth in range(len(config.widths)):
        if depth:
            mask = MaskMaxPooling2D(2, name=f"mask{depth}")(mask)
        coverage = CoverageScale(KERNEL_SIZE, "area", name=f"coverage{depth}")(mask)
        levels.append(_Level(mask, coverage))
    return levels


def _convolve(x: Any, level: _Level, width: int, name: str) -> Any:
    x = _conv2d(width, name)(x)
    x = keras.layers.Multiply(name=f"{name}_coverage")([x, level.coverage])
    x = MaskedBatchNormalization(name=f"{name}_norm")([x, level.mask])
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return FillInvalid(name=f"{name}_fill")([x, level.mask])


def _convolve_folded(x: Any, level: _Level, width: int, name: str) -> Any:
    x = _conv2d(width + 1, name)(x)
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return keras.layers.Multiply(name=f"{name}_coverage")([x, level.coverage])


def _conv2d(filters: int, name: str) -> keras.layers.Conv2D:
    return keras.layers.Conv2D(
        filters,
        KERNEL_SIZE,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )


def fold_batch_norm(network: keras.Model, config: NetworkConfig) -> keras.Model:
    """Make the inference form of a trained network.

    Args:
        network: from `build_network(config)`.
        config: the same.

    Returns:
        A network without batch normalisation that computes what `network` does in inference, up to
        rounding.
    """
    folded = build_network(config, folded=True)
    for layer in folded.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        kernel, *bias = network.get_layer(layer.name).get_weights()
        if layer.name == "logits":
            layer.set_weights([np.pad(kernel, [(0, 0), (0, 0), (0, 1), (0, 0)]), *bias])
            continue
        scale, offset = (
            np.asarray(values)
            for values in network.get_layer(f"{layer.name}_norm").inference_affine()
        )
        maps = _split_channels(layer.name, kernel.shape[2], config)
        layer.set_weights([_carry_mask(kernel * scale, offset, maps)])
    return folded


def _split_channels(name: str, channels: int, config: NetworkConfig) -> list[int]:
    """Tell of how many feature maps, and of what widths, the input of a convolution is joined."""
    if not (name.startswith("up") and name.endswith("conv0")):
        return [channels]
    depth = int(name.removeprefix("up").removesuffix("_conv0"))
    return [config.widths[depth + 1], config.widths[depth]]


def _carry_mask(
    kernel: NDArray[np.float32], offset: NDArray[np.float32], maps: Sequence[int]
) -> NDArray[np.float32]:
    """Give a kernel the mask as a last channel to read, and to hand on.

    Args:
        kernel: float32 (k, k, C, F).
        offset: float32 (F,), added to the output wherever it is valid.
        maps: channels of each feature map in the input. Each brings a mask; the last one is read.

    Returns:
        float32 (k, k, C + number of maps, F + 1).
    """
    area = kernel.shape[0] * kernel.shape[1]
    unread = np.zeros((*kernel.shape[:2], 1, kernel.shape[3]), np.float32)
    pieces = np.split(kernel, np.cumsum(maps)[:-1], axis=2)
    widened = np.concatenate([part for piece in pieces for part in (piece, unread)], axis=2)
    widened[:, :, -1] = offset / area
    handed_on = np.zeros((*widened.shape[:3], 1), np.float32)
    handed_on[:, :, -1] = 1 / area
    return np.concatenate([widened, handed_on], axis=3)
