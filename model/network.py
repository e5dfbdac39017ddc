"""U-Net of masked convolutions whose result does not depend on the padding of its input.

Each level of resolution has one mask and one coverage map c, k² / (number of valid pixels under the
kernel) and 0 where invalid, and every unit there is a partial convolution:

    y = where(mask, relu(affine(conv(x) * c)), 0)

(`NetworkConfig.normalization` selects other definitions of c). The input is 0 at invalid pixels
already, so it is not masked again. The affine map is batch normalisation; `model.folding` builds
the network without it for export.

Before the first level, missing pixels may be filled by reflection (`NetworkConfig.fill_levels`).
What is filled counts as valid in all levels, and a further channel of the image says which pixels
these are.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import keras
import numpy as np

from model import ops
from model.layers import (
    CoverageScale,
    FillByReflection,
    FillInvalid,
    MaskedBatchNormalization,
    MaskedConcatenate,
    MaskedUpSampling2D,
    MaskMaxPooling2D,
    PadToMultiple,
)
from model.layers.cropping import PlanBoxes
from model.layers.strips import CropBorder
from model.places import Boxes, Canvas

KERNEL_SIZE = 3
FIRST_CONV = "down0_conv0"
FIRST_SHORTCUT = "down0_shortcut"

FILL_LEVELS = 3
"""Sizes of cells that missing pixels are filled in by default, of at most 8 pixels."""

Block = Literal["plain", "residual", "separable"]
BLOCKS: tuple[Block, ...] = get_args(Block)


@dataclass(frozen=True)
class NetworkConfig:
    """Configuration of a network.

    Attributes:
        channels: of the image.
        classes: number of classes, 2 to 255: label 255 means invalid.
        widths: channels of each level, finest first; the resolution halves from one to the next.
            The exported network adds one, and vector units prefer multiples of 16.
        convs_per_level: 3×3 convolutions in each level, on the way down and again on the way up.
        block: their arrangement in each level: `"plain"`, one after the other; `"residual"`, the
            same with the level's input added before the last ReLU; `"separable"`, depthwise and
            then 1×1 convolutions, except for the very first.
        normalization: the definition of c, as in `PartialArguments`: `"area"`, `"mean"`,
            `"variance"`, or `"none"`, 1 wherever the pixel is valid. Group and instance
            normalisation are not offered: they take statistics over the image, so results in
            another canvas, or in tiles, would not be the same to the last bit.
        fill_levels: sizes of the cells within which missing pixels are filled by reflection, of 2,
            4, … and 2**fill_levels pixels, at most the total stride; 0 for none.
        pixel_mean: image value that becomes 0: one for all channels, or one for each.
        pixel_scale: image values are divided by this after `pixel_mean` is taken off: one for all
            channels, or one for each.

    Raises:
        ValueError: if a value is out of its range.
    """

    channels: int = 3
    classes: int = 3
    widths: tuple[int, ...] = (15, 31, 47, 63)
    convs_per_level: int = 2
    block: Block = "plain"
    normalization: ops.Normalization = "area"
    fill_levels: int = 0
    pixel_mean: float | tuple[float, ...] = 127.5
    pixel_scale: float | tuple[float, ...] = 64.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        self._check_channels()
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"`widths` must be positive, one a level. Received: {self.widths}")
        if self.convs_per_level < 1:
            raise ValueError(
                f"`convs_per_level` must be positive. Received: {self.convs_per_level}"
            )
        if self.block not in BLOCKS:
            raise ValueError(
                f"`block` must be one of {', '.join(BLOCKS)}. Received: {self.block!r}"
            )
        if self.normalization not in ops.NORMALIZATIONS:
            raise ValueError(
                f"`normalization` must be one of {', '.join(ops.NORMALIZATIONS)}. "
                f"Received: {self.normalization!r}"
            )
        if not 0 <= self.fill_levels < len(self.widths):
            raise ValueError(
                f"`fill_levels` must be 0 to {len(self.widths) - 1}, so that no cell is larger "
                f"than one of the coarsest level. Received: {self.fill_levels}"
            )
        if not 2 <= self.classes <= 255:
            raise ValueError(f"`classes` must be 2 to 255. Received: {self.classes}")

    def _check_channels(self) -> None:
        if self.channels < 1:
            raise ValueError(f"`channels` must be positive. Received: {self.channels}")
        for name in ("pixel_mean", "pixel_scale"):
            value = getattr(self, name)
            if isinstance(value, list | tuple):
                object.__setattr__(self, name, tuple(value))
                if len(value) != self.channels:
                    raise ValueError(
                        f"`{name}` must have one number for each of the {self.channels} channels. "
                        f"Received: {value}"
                    )
        if np.min(self.pixel_scale) <= 0:
            raise ValueError(f"`pixel_scale` must be positive. Received: {self.pixel_scale}")

    @property
    def rescaling(self) -> tuple[Any, Any]:
        """Factor and then offset of the values, float64 (), or one for each channel of the input.

        The channel of filled pixels stays as it is.
        """
        scale = 1.0 / np.asarray(self.pixel_scale, np.float64)
        offset = -np.asarray(self.pixel_mean, np.float64) * scale
        if self.fill_levels:
            scale = np.append(np.broadcast_to(scale, self.channels), 1.0)
            offset = np.append(np.broadcast_to(offset, self.channels), 0.0)
        return scale, offset

    @property
    def total_stride(self) -> int:
        """Side of a cell of the coarsest level, in pixels of the image."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def receptive_radius(self) -> int:
        """Distance in pixels, along an axis, beyond which no input reaches an output pixel.

        A convolution at level l adds one cell of 2**l pixels. Every level except the coarsest is
        passed twice. The pixels of one coarsest cell are up to 2**L - 1 apart. What is filled is
        filled from the whole of the cells that would be read in part.
        """
        finer = self.reach * (self.total_stride - 1)
        cells = -finer % 2**self.fill_levels
        return int(2 * finer + cells + self.reach * self.total_stride + self.total_stride - 1)

    @property
    def reach(self) -> int:
        """Cells that the kernels of a block reach on each side, all together."""
        return self.convs_per_level * (KERNEL_SIZE // 2)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dataclasses.asdict(self)


class Level(NamedTuple):
    """Mask and coverage of one resolution, shared by all its units.

    Attributes:
        mask: bool (N, H, W, 1).
        coverage: float (N, H, W, 1), from `CoverageScale`.
    """

    mask: Any
    coverage: Any


class Architecture:
    """Layers of a network, made as they are trained.

    Args:
        config: configuration of the network.
        padding: of the convolutions. With `"valid"` each takes a border of one cell away, and the
            input is not padded either.
    """

    def __init__(self, config: NetworkConfig, padding: Literal["same", "valid"] = "same") -> None:
        self.config = config
        self.padding = padding

    def begin(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """Pad image and mask to whole cells, rescale, and set invalid pixels to 0."""
        x, mask = PadToMultiple(self.multiple, name="pad")([image, mask])
        x = make_rescaling(self.config)(x)
        return FillInvalid(name="fill")([x, mask]), mask

    @property
    def multiple(self) -> int:
        """Number that the sides of the input are padded to a multiple of."""
        return self.config.total_stride if self.padding == "same" else 1

    def apply_block(self, x: Any, level: Level, width: int, prefix: str) -> Any:
        """Apply all units of a level."""
        shortcut = x
        *names, last = [f"{prefix}_conv{index}" for index in range(self.config.convs_per_level)]
        for name in names:
            level = self.narrow(level)
            x = self.apply_unit(x, level, width, name)
        level = self.narrow(level)
        if self.config.block != "residual":
            return self.apply_unit(x, level, width, last)
        x = self.apply_affine(x, level, width, last)
        if self.padding == "valid":
            shortcut = CropBorder(self.config.reach)(shortcut)
        return self.add_shortcut(x, shortcut, level, width, f"{prefix}_shortcut")

    def narrow(self, level: Level) -> Level:
        """Return the level without the border that a convolution takes away."""
        if self.padding == "same":
            return level
        return Level(*(CropBorder(KERNEL_SIZE // 2)(x) for x in level))

    def apply_unit(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, scale by the coverage, normalise, apply ReLU, mask."""
        x = self.apply_affine(x, level, width, name)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        return FillInvalid(name=f"{name}_fill")([x, level.mask])

    def apply_affine(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, scale by the coverage, normalise; invalid pixels become finite."""
        x = self.convolve(x, width, name)
        x = keras.layers.Multiply(name=f"{name}_coverage")([x, level.coverage])
        return MaskedBatchNormalization(name=f"{name}_norm")([x, level.mask])

    def add_shortcut(self, x: Any, shortcut: Any, level: Level, width: int, name: str) -> Any:
        """Add a level's input, projected to its width, then apply ReLU and mask."""
        if is_projected(shortcut, width, name):
            shortcut = make_conv2d(width, 1, name)(shortcut)
            shortcut = MaskedBatchNormalization(name=f"{name}_norm")([shortcut, level.mask])
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        return FillInvalid(name=f"{name}_fill")([x, level.mask])

    def convolve(self, x: Any, width: int, name: str, *, use_bias: bool = False) -> Any:
        """Convolve with a kernel of 3×3, separable or not."""
        if self.config.block != "separable" or name == FIRST_CONV:
            return make_conv2d(width, KERNEL_SIZE, name, use_bias=use_bias, padding=self.padding)(x)
        depthwise = keras.layers.DepthwiseConv2D(
            KERNEL_SIZE,
            padding=self.padding,
            use_bias=False,
            depthwise_initializer="he_normal",
            name=f"{name}_depthwise",
        )
        return make_conv2d(width, 1, name, use_bias=use_bias)(depthwise(x))

    def upsample(self, x: Any, level: Level, name: str) -> Any:
        """Upsample to the next finer level."""
        return MaskedUpSampling2D(2, name=name)([x, level.mask])

    def classify(self, x: Any, level: Level, width: int, prefix: str) -> Any:
        """Apply the last block and return logits, 0 where invalid."""
        x = self.apply_block(x, level, width, prefix)
        logits = keras.layers.Conv2D(self.config.classes, 1, name="logits")(x)
        return FillInvalid(name="output")([logits, level.mask])


def is_projected(shortcut: Any, width: int, name: str) -> bool:
    """Return whether a shortcut is projected to a width: if it has another, or is the image."""
    return name == FIRST_SHORTCUT or shortcut.shape[-1] != width


def fill_missing(image: Any, mask: Any, config: NetworkConfig) -> tuple[Any, Any]:
    """Fill missing pixels as is configured, before all that depends on the mask.

    Returns:
        Image and mask. Filled pixels are valid there, and the last channel of the image.
    """
    if not config.fill_levels:
        return image, mask
    return FillByReflection(config.fill_levels, name="reflect")([image, mask])


def make_rescaling(config: NetworkConfig) -> keras.layers.Rescaling:
    """Return the layer that brings raw values to the range of the first convolution."""
    scale, offset = (values.tolist() for values in config.rescaling)
    return keras.layers.Rescaling(scale, offset, name="rescale")


def make_conv2d(
    filters: int,
    kernel_size: int,
    name: str,
    *,
    use_bias: bool = False,
    padding: Literal["same", "valid"] = "same",
) -> keras.layers.Conv2D:
    """Return the convolution of a unit."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        padding=padding,
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )


def build_network(
    config: NetworkConfig, architecture: Architecture | None = None, *, cropped: bool = False
) -> keras.Model:
    """Build the network.

    Args:
        config: its configuration.
        architecture: makes the layers; by default those of the network to train.
        cropped: whether it computes a window of the image alone; see `PlanBoxes`.

    Returns:
        A model from `[image, mask]`, float32 (N, H, W, channels) raw values and bool (N, H, W, 1),
        any H and W ≥ 1, to logits float32 (N, H, W, classes), 0 where neither valid nor filled. A
        cropped one takes `[image, mask, keep]`, int32 (4,), top, left, height and width of a window
        inside the image, and returns the same logits for this window alone.
    """
    architecture = architecture or Architecture(config)
    image = keras.Input((None, None, config.channels), name="image")
    mask = keras.Input((None, None, 1), dtype="bool", name="mask")
    inputs = [image, mask]
    x, padded_mask = architecture.begin(*fill_missing(image, mask, config))
    levels = _build_levels(padded_mask, config)
    downward = [("down", depth) for depth in range(len(levels))]
    blocks = downward + [("up", depth) for _, depth in downward[-2::-1]]
    places = Canvas()
    if cropped:
        inputs.append(keras.Input(batch_shape=(4,), dtype="int32", name="keep"))
        boxes = PlanBoxes(len(levels), config.reach, name="boxes")([inputs[-1], padded_mask])
        places = Boxes([depth for _, depth in blocks], boxes)
    x = places.see(x, 0, "image")
    skips: list[Any] = []
    for index, (direction, depth) in enumerate(blocks):
        prefix = f"{direction}{depth}"
        level = Level(
            places.see(levels[depth].mask, index, f"{prefix}_mask"),
            places.see(levels[depth].coverage, index, f"{prefix}_coverage"),
        )
        if index:
            x = places.move(x, index - 1, index, prefix)
        if direction == "up":
            x = architecture.upsample(x, level, f"{prefix}_upsample")
            skip = places.move(skips[depth], depth, index, f"{prefix}_skip")
            x, _ = MaskedConcatenate(name=f"{prefix}_join")([x, level.mask, skip, level.mask])
        elif depth:
            # After a ReLU valid values are ≥ 0 and invalid ones 0, so a plain maximum is a masked
            # one.
            x = keras.layers.MaxPooling2D(2, name=f"{prefix}_pool")(x)
        is_last = index == len(blocks) - 1
        apply = architecture.classify if is_last else architecture.apply_block
        x = apply(x, level, config.widths[depth], prefix)
        skips.append(x)
    name = "cropped_unet" if cropped else "masked_unet"
    return keras.Model(inputs, places.finish(x, mask), name=name)


def _build_levels(mask: Any, config: NetworkConfig) -> list[Level]:
    levels = []
    for depth in range(len(config.widths)):
        if depth:
            mask = MaskMaxPooling2D(2, name=f"mask{depth}")(mask)
        coverage = CoverageScale(KERNEL_SIZE, config.normalization, name=f"coverage{depth}")(mask)
        levels.append(Level(mask, coverage))
    return levels
