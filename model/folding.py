"""The form of a network that is exported: the same function in fewer passes over the features.

The mask travels as one more channel of the features. Convolved with 1 / k² it is 1 / c, where c is
the coverage, so an offset b multiplied by it and then by c is b again, and the same product
restores the channel itself to the mask:

    y = relu(conv([x, mask]) + b / k²) * c

(Where an output is valid so is the pixel in the middle of the kernel; its share of b is a bias,
which the convolution adds for nothing.) One convolution and one product do all of a unit, batch
normalisation included. The maximum of a cell of the mask channel is the coarser mask, and cutting
an upsampled one with the finer mask gives the finer mask, so the channel is right at every level.
The image's rescaling is in the first kernel, and the last product waits for the logits, which have
fewer channels (docs/decisions/0002).

With `"mean"` the mask is convolved with ones instead of 1 / k², and with `"none"` 1 / c is 1, so
that all of b is a bias. With `"variance"` 1 / c is no sum over the mask: there the offset is added
after the product, and what is invalid is set to 0 by selection.

Where convolutions are separable the depthwise one makes 1 / c of the mask and the 1 × 1 one adds b
and hands the mask on. Where a shortcut is added it brings the mask along, so the convolution beside
it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model import ops
from model.layers import CutUpSampling2D, EmbedMask, FillInvalid, ScaleAndShift
from model.network import (
    FIRST_CONV,
    KERNEL_SIZE,
    Architecture,
    Level,
    NetworkConfig,
    build_network,
    make_conv2d,
)

Kernel = NDArray[np.float32]
Bias = NDArray[np.float32]

_SHIFT = "_shift"

_CENTRE = np.zeros((KERNEL_SIZE, KERNEL_SIZE, 1, 1), np.float32)
_CENTRE[KERNEL_SIZE // 2, KERNEL_SIZE // 2] = 1
_TAPS: Mapping[ops.Normalization, Any] = MappingProxyType(
    {"area": 1 / KERNEL_SIZE**2, "mean": 1, "none": _CENTRE, "variance": 0}
)
"""What makes 1 / c of the mask in a depthwise convolution; nothing does for `"variance"`."""


class FoldedNetwork(Architecture):
    """How the parts of an exported network are made."""

    def begin(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """Pad, zero what is invalid, append the mask; raw values stay as they are."""
        return EmbedMask(self.config.total_stride, name="embed")([image, mask])

    def apply_unit(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, rectify, mask."""
        return self._mask(self._rectify(x, level, width, name), level, name)

    def apply_affine(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, mask."""
        return self._mask(self._convolve(x, level, width, name), level, name)

    def add_shortcut(self, x: Any, shortcut: Any, level: Level, width: int, name: str) -> Any:
        """Add a level's input, brought to its width, and rectify: all is 0 where invalid."""
        del level
        if shortcut.shape[-1] != width + 1:
            shortcut = make_conv2d(width + 1, 1, name)(shortcut)
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def upsample(self, x: Any, level: Level, name: str) -> Any:
        """Go to the next finer level."""
        return CutUpSampling2D(name=name)([x, level.mask])

    def classify(self, x: Any, level: Level, width: int, prefix: str) -> Any:
        """Apply the last block and give logits, 0 where invalid."""
        config = self.config
        logits = keras.layers.Conv2D(config.classes, 1, use_bias=False, name="logits")
        if config.block == "residual":
            return logits(self.apply_block(x, level, width, prefix))
        *names, last = [f"{prefix}_conv{index}" for index in range(config.convs_per_level)]
        for name in names:
            x = self.apply_unit(x, level, width, name)
        return self._mask(logits(self._rectify(x, level, width, last)), level, "output")

    def _rectify(self, x: Any, level: Level, width: int, name: str) -> Any:
        return keras.layers.ReLU(name=f"{name}_relu")(self._convolve(x, level, width, name))

    def _convolve(self, x: Any, level: Level, width: int, name: str) -> Any:
        if _is_shifted(self.config):
            x = self.convolve(x, width + 1, name)
            return ScaleAndShift(name=f"{name}{_SHIFT}")([x, level.coverage])
        has_bias = self.config.block != "separable" or name == FIRST_CONV
        return self.convolve(x, width + 1, name, use_bias=has_bias)

    def _mask(self, x: Any, level: Level, name: str) -> Any:
        if _is_shifted(self.config):
            return FillInvalid(name=f"{name}_fill")([x, level.mask])
        return keras.layers.Multiply(name=f"{name}_coverage")([x, level.coverage])


def _is_shifted(config: NetworkConfig) -> bool:
    """Tell whether offsets are added after the product, since they cannot be before."""
    return config.normalization == "variance"


def fold_batch_norm(network: keras.Model, config: NetworkConfig) -> keras.Model:
    """Make the form of a trained network that is exported.

    Args:
        network: from `build_network(config)`.
        config: the same.

    Returns:
        A network without batch normalisation that computes what `network` does in inference, up to
        rounding.
    """
    folded = build_network(config, FoldedNetwork(config))
    for layer in folded.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D | ScaleAndShift):
            layer.set_weights(_fold_layer(layer.name, network, config))
    return folded


def _fold_layer(name: str, network: keras.Model, config: NetworkConfig) -> list[Kernel]:
    """Make the weights of one layer of the folded network from the trained one's."""
    if name.endswith(_SHIFT):
        _, share = _read_affine(name.removesuffix(_SHIFT), network, config)
        return [share]
    kernel, *bias = (np.asarray(weight) for weight in network.get_layer(name).get_weights())
    maps = _split_channels(name, kernel.shape[2], config)
    if name.endswith("_depthwise"):
        return [_insert_masks(kernel, maps, axis=2, last=_TAPS[config.normalization])]
    if name == "logits":
        # The mask channel is 1 / c before the product with c, and carries the bias over it.
        return [_insert_masks(kernel, maps, axis=2, last=bias[0])]
    scale, share = _read_affine(name, network, config)
    # A shortcut's kernel of 1 × 1 is not renormalised: what it adds is the mask's share.
    shifted = _is_shifted(config) and not name.endswith("_shortcut")
    weights = _carry_mask(
        kernel * scale, np.zeros_like(share) if shifted else share, maps, config.normalization
    )
    if name in (FIRST_CONV, "down0_shortcut"):
        weights[0] = _fold_rescaling(weights[0], config)
    return weights[:1] if shifted else weights


def _read_affine(name: str, network: keras.Model, config: NetworkConfig) -> tuple[Kernel, Bias]:
    """Give what a unit's normalisation multiplies by, and what it adds.

    Returns:
        float32 (F,), and float32 (F + 1,): the last channel is the mask, 1, where it is handed on.
    """
    scale, offset = (
        np.asarray(values) for values in network.get_layer(f"{name}_norm").inference_affine()
    )
    hands_on = config.block != "residual" or not name.endswith(f"conv{config.convs_per_level - 1}")
    return scale, np.append(offset, np.float32(hands_on))


def _split_channels(name: str, channels: int, config: NetworkConfig) -> list[int]:
    """Tell of how many feature maps, and of what widths, the input of a convolution is joined."""
    prefix, _, part = name.partition("_")
    if not (prefix.startswith("up") and part.startswith(("conv0", "shortcut"))):
        return [channels]
    depth = int(prefix.removeprefix("up"))
    return [config.widths[depth + 1], config.widths[depth]]


def _insert_masks(kernel: Kernel, maps: Sequence[int], axis: int, last: Any) -> Kernel:
    """Put a channel behind each feature map: 0 behind all but the last, there what is given."""
    pieces = np.split(kernel, np.cumsum(maps)[:-1], axis=axis)
    unread = np.zeros_like(np.take(kernel, [0], axis=axis))
    widened = [part for piece in pieces for part in (piece, unread)]
    return np.concatenate([*widened[:-1], unread + np.asarray(last, np.float32)], axis=axis)


def _carry_mask(
    kernel: Kernel, share: Bias, maps: Sequence[int], normalization: ops.Normalization
) -> list[Kernel]:
    """Give a convolution the mask as a last channel to read, and to hand on.

    Args:
        kernel: float32 (k, k, C, F).
        share: float32 (F + 1,), what is to be added to the product with c.
        maps: channels of each feature map in the input. Each brings a mask; the last one is read.
        normalization: what c is.

    Returns:
        The kernel float32 (k, k, C + number of maps, F + 1), and the bias float32 (F + 1,), but for
        a kernel of 1 × 1, which reads the mask only where it is 1 / c already.
    """
    size = kernel.shape[0]
    kernel = np.concatenate([kernel, np.zeros((*kernel.shape[:3], 1), np.float32)], axis=3)
    if size == 1:
        return [_insert_masks(kernel, maps, axis=2, last=share)]
    if normalization == "none":
        return [_insert_masks(kernel, maps, axis=2, last=0), share]
    if normalization == "area":
        share = share / np.float32(size * size)
    folded = _insert_masks(kernel, maps, axis=2, last=share)
    # Where the output is valid the middle pixel is: its share is always there, as a bias.
    folded[size // 2, size // 2, -1] = 0
    return [folded, share]


def _fold_rescaling(kernel: Kernel, config: NetworkConfig) -> Kernel:
    """Make a kernel that reads rescaled values, and the mask last, read raw ones.

    w · (x - mean) / scale, where the mask is, is w / scale · x - w · mean / scale · mask.
    """
    raw = kernel.copy()
    raw[:, :, :-1] /= config.pixel_scale
    raw[:, :, -1] -= raw[:, :, :-1].sum(axis=2) * config.pixel_mean
    return raw
