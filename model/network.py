"""U-Net of masked convolutions whose result does not depend on the padding of its input.

Each level of resolution has one mask and one coverage map c, k² / (number of valid pixels under the
kernel) and 0 where invalid, and every unit there is a partial convolution:

    y = where(mask, relu(affine(conv(x) * c)), 0)

(`NetworkConfig.normalization` selects other definitions of c). The input is 0 at invalid pixels
already, so it is not masked again. The affine map is batch normalisation; `model.folding` builds
the network without it for export.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import keras

from model import ops
from model.layers import (
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
FIRST_CONV = "down0_conv0"

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
        pixel_mean: image value that becomes 0.
        pixel_scale: image values are divided by this after `pixel_mean` is taken off.

    Raises:
        ValueError: if a value is out of its range.
    """

    channels: int = 3
    classes: int = 3
    widths: tuple[int, ...] = (15, 31, 47, 63)
    convs_per_level: int = 2
    block: Block = "plain"
    normalization: ops.Normalization = "area"
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
        if self.block not in BLOCKS:
            raise ValueError(
                f"`block` must be one of {', '.join(BLOCKS)}. Received: {self.block!r}"
            )
        if self.normalization not in ops.NORMALIZATIONS:
            raise ValueError(
                f"`normalization` must be one of {', '.join(ops.NORMALIZATIONS)}. "
                f"Received: {self.normalization!r}"
            )
        if not 2 <= self.classes <= 255:
            raise ValueError(f"`classes` must be 2 to 255. Received: {self.classes}")

    @property
    def total_stride(self) -> int:
        """Side of a cell of the coarsest level, in pixels of the image."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def receptive_radius(self) -> int:
        """Distance in pixels, along an axis, beyond which no input reaches an output pixel.

        A convolution at level l adds one cell of 2**l pixels. Every level except the coarsest is
        passed twice. The pixels of one coarsest cell are up to 2**L - 1 apart.
        """
        reach = self.convs_per_level * (KERNEL_SIZE // 2)
        finer = sum(2 * reach * 2**level for level in range(len(self.widths) - 1))
        return int(finer + reach * self.total_stride + self.total_stride - 1)

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
    """

    def __init__(self, config: NetworkConfig) -> None:
        self.config = config

    def begin(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """Pad image and mask to whole cells, rescale, and set invalid pixels to 0."""
        config = self.config
        x, mask = PadToMultiple(config.total_stride, name="pad")([image, mask])
        scale, offset = 1.0 / config.pixel_scale, -config.pixel_mean / config.pixel_scale
        x = keras.layers.Rescaling(scale, offset, name="rescale")(x)
        return FillInvalid(name="fill")([x, mask]), mask

    def apply_block(self, x: Any, level: Level, width: int, prefix: str) -> Any:
        """Apply all units of a level."""
        shortcut = x
        *names, last = [f"{prefix}_conv{index}" for index in range(self.config.convs_per_level)]
        for name in names:
            x = self.apply_unit(x, level, width, name)
        if self.config.block != "residual":
            return self.apply_unit(x, level, width, last)
        x = self.apply_affine(x, level, width, last)
        return self.add_shortcut(x, shortcut, level, width, f"{prefix}_shortcut")

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
        if shortcut.shape[-1] != width:
            shortcut = make_conv2d(width, 1, name)(shortcut)
            shortcut = MaskedBatchNormalization(name=f"{name}_norm")([shortcut, level.mask])
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        return FillInvalid(name=f"{name}_fill")([x, level.mask])

    def convolve(self, x: Any, width: int, name: str, *, use_bias: bool = False) -> Any:
        """Convolve with a kernel of 3×3, separable or not."""
        if self.config.block != "separable" or name == FIRST_CONV:
            return make_conv2d(width, KERNEL_SIZE, name, use_bias=use_bias)(x)
        depthwise = keras.layers.DepthwiseConv2D(
            KERNEL_SIZE,
            padding="same",
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


def make_conv2d(
    filters: int, kernel_size: int, name: str, *, use_bias: bool = False
) -> keras.layers.Conv2D:
    """Return the convolution of a unit."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )


def build_network(config: NetworkConfig, architecture: Architecture | None = None) -> keras.Model:
    """Build the network.

    Args:
        config: its configuration.
        architecture: makes the layers; by default those of the network to train.

    Returns:
        A model from `[image, mask]`, float32 (N, H, W, channels) raw values and bool (N, H, W, 1),
        any H and W ≥ 1, to logits float32 (N, H, W, classes), 0 where invalid.
    """
    architecture = architecture or Architecture(config)
    image = keras.Input((None, None, config.channels), name="image")
    mask = keras.Input((None, None, 1), dtype="bool", name="mask")
    x, padded_mask = architecture.begin(image, mask)
    levels = _build_levels(padded_mask, config)
    depths = range(len(levels))
    *blocks, last = [("down", depth) for depth in depths] + [("up", d) for d in depths[-2::-1]]
    skips: list[Any] = []
    for direction, depth in [*blocks, last]:
        level, prefix = levels[depth], f"{direction}{depth}"
        if direction == "up":
            x = architecture.upsample(x, level, f"{prefix}_upsample")
            joined = [x, level.mask, skips[depth], level.mask]
            x, _ = MaskedConcatenate(name=f"{prefix}_join")(joined)
        elif depth:
            # After a ReLU valid values are ≥ 0 and invalid ones 0, so a plain maximum is a masked
            # one.
            x = keras.layers.MaxPooling2D(2, name=f"{prefix}_pool")(x)
        is_last = (direction, depth) == last
        apply = architecture.classify if is_last else architecture.apply_block
        x = apply(x, level, config.widths[depth], prefix)
        skips.append(x)
    return keras.Model([image, mask], CropToSize(name="crop")([x, mask]), name="masked_unet")


def _build_levels(mask: Any, config: NetworkConfig) -> list[Level]:
    levels = []
    for depth in range(len(config.widths)):
        if depth:
            mask = MaskMaxPooling2D(2, name=f"mask{depth}")(mask)
        coverage = CoverageScale(KERNEL_SIZE, config.normalization, name=f"coverage{depth}")(mask)
        levels.append(Level(mask, coverage))
    return levels
