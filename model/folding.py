"""The exported network: the same function in fewer passes over the features.

The mask is carried as one more channel of the features. Convolved with 1 / k² it is 1 / c, where c
is the coverage. An offset b multiplied by it and then by c is b again, and the same product turns
the channel itself back into the mask:

    y = relu(conv([x, mask]) + b / k²) * c

(Where an output is valid, so is the pixel in the middle of the kernel. Its share of b is a bias,
which costs the convolution nothing.) One convolution and one product compute a whole unit, batch
normalisation included. The maximum of a cell of the mask channel is the coarser mask, and an
upsampled mask times the finer mask is the finer mask, so the channel is right at every level. The
image's rescaling is part of the first kernel, and the division of the logits by a temperature is
part of the last one. The last product is applied to the logits, which have fewer channels
(docs/decisions/0002).

With `"mean"` the mask is convolved with ones instead of 1 / k², and with `"none"` 1 / c is 1, so
that all of b is a bias. With `"variance"` 1 / c is not a sum over the mask: the offset is added
after the product, and invalid pixels are set to 0 by selection.

In a separable convolution, the depthwise part turns the mask into 1 / c, and the 1 × 1 part adds b
and passes the mask on. A shortcut brings the mask along, so the convolution that it is added to
does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model import ops
from model.layers import AppendMask, CutUpSampling2D, EmbedMask, FillInvalid, ScaleAndShift
from model.network import (
    FIRST_CONV,
    FIRST_SHORTCUT,
    KERNEL_SIZE,
    Architecture,
    Level,
    NetworkConfig,
    build_network,
    is_projected,
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
"""Kernel that turns the mask into 1 / c in a depthwise convolution; none can for `"variance"`."""


class FoldedNetwork(Architecture):
    """Layers of an exported network."""

    def begin(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """Pad, set invalid pixels to 0, append the mask; raw values are not rescaled."""
        if self.config.fill_levels and 2**self.config.fill_levels % self.multiple == 0:
            # What is filled has whole cells, and is 0 where nothing was found.
            return AppendMask(name="embed")([image, mask]), mask
        return EmbedMask(self.multiple, name="embed")([image, mask])

    def apply_unit(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, apply ReLU, mask."""
        return self._mask(self._rectify(x, level, width, name), level, name)

    def apply_affine(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, mask."""
        return self._mask(self._convolve(x, level, width, name), level, name)

    def add_shortcut(self, x: Any, shortcut: Any, level: Level, width: int, name: str) -> Any:
        """Add a level's input, projected to its width, and apply ReLU: both are 0 where invalid."""
        del level
        if is_projected(shortcut, width + 1, name):
            shortcut = make_conv2d(width + 1, 1, name)(shortcut)
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def upsample(self, x: Any, level: Level, name: str) -> Any:
        """Upsample to the next finer level."""
        return CutUpSampling2D(name=name)([x, level.mask])

    def classify(self, x: Any, level: Level, width: int, prefix: str) -> Any:
        """Apply the last block and return logits, 0 where invalid."""
        config = self.config
        logits = keras.layers.Conv2D(config.classes, 1, use_bias=False, name="logits")
        if config.block == "residual":
            return logits(self.apply_block(x, level, width, prefix))
        *names, last = [f"{prefix}_conv{index}" for index in range(config.convs_per_level)]
        for name in names:
            level = self.narrow(level)
            x = self.apply_unit(x, level, width, name)
        level = self.narrow(level)
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
    """Return whether offsets are added after the product, because they cannot be added before."""
    return config.normalization == "variance"


def fold_batch_norm(
    network: keras.Model, config: NetworkConfig, temperature: float = 1.0
) -> keras.Model:
    """Make the network to export from a trained one.

    Args:
        network: from `build_network(config)`.
        config: the same.
        temperature: that the logits are divided by, positive; 1 changes no bit.

    Returns:
        A network without batch normalisation that computes what `network` does in inference, up to
        rounding.

    Raises:
        ValueError: if the temperature is not positive and finite.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"`temperature` must be positive and finite. Received: {temperature}")
    folded = build_network(config, FoldedNetwork(config))
    for layer in folded.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D | ScaleAndShift):
            layer.set_weights(_fold_layer(layer.name, network, config))
    logits = folded.get_layer("logits")
    logits.set_weights([weight / np.float32(temperature) for weight in logits.get_weights()])
    return folded


def _fold_layer(name: str, network: keras.Model, config: NetworkConfig) -> list[Kernel]:
    """Return the weights of one layer of the folded network."""
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
    # A shortcut of 1 × 1 is not scaled by the coverage: its mask channel carries the offset.
    shifted = _is_shifted(config) and not name.endswith("_shortcut")
    weights = _carry_mask(
        kernel * scale, np.zeros_like(share) if shifted else share, maps, config.normalization
    )
    if name in (FIRST_CONV, FIRST_SHORTCUT):
        weights[0] = _fold_rescaling(weights[0], config)
    return weights[:1] if shifted else weights


def _read_affine(name: str, network: keras.Model, config: NetworkConfig) -> tuple[Kernel, Bias]:
    """Return the scale and the offset of a unit's normalisation.

    Returns:
        float32 (F,) and float32 (F + 1,); the last channel is the mask, 1 where it is passed on.
    """
    scale, offset = (
        np.asarray(values) for values in network.get_layer(f"{name}_norm").inference_affine()
    )
    passes_on = config.block != "residual" or not name.endswith(f"conv{config.convs_per_level - 1}")
    return scale, np.append(offset, np.float32(passes_on))


def _split_channels(name: str, channels: int, config: NetworkConfig) -> list[int]:
    """Return the widths of the feature maps that are concatenated to the input of a convolution."""
    prefix, _, part = name.partition("_")
    if not (prefix.startswith("up") and part.startswith(("conv0", "shortcut"))):
        return [channels]
    depth = int(prefix.removeprefix("up"))
    return [config.widths[depth + 1], config.widths[depth]]


def _insert_masks(kernel: Kernel, maps: Sequence[int], axis: int, last: Any) -> Kernel:
    """Insert a channel after each feature map: 0 after all but the last, `last` after that."""
    pieces = np.split(kernel, np.cumsum(maps)[:-1], axis=axis)
    unread = np.zeros_like(np.take(kernel, [0], axis=axis))
    widened = [part for piece in pieces for part in (piece, unread)]
    return np.concatenate([*widened[:-1], unread + np.asarray(last, np.float32)], axis=axis)


def _carry_mask(
    kernel: Kernel, share: Bias, maps: Sequence[int], normalization: ops.Normalization
) -> list[Kernel]:
    """Extend a convolution to read the mask as its last channel, and to pass it on.

    Args:
        kernel: float32 (k, k, C, F).
        share: float32 (F + 1,), the offset after the product with c.
        maps: channels of each feature map in the input. Each brings a mask; the last one is read.
        normalization: the definition of c.

    Returns:
        The kernel float32 (k, k, C + number of maps, F + 1), and the bias float32 (F + 1,). A
        kernel of 1 × 1 has no bias: it reads the mask where that is 1 / c already.
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
    # Where the output is valid, so is the middle pixel: its share is always added, as a bias.
    folded[size // 2, size // 2, -1] = 0
    return [folded, share]


def _fold_rescaling(kernel: Kernel, config: NetworkConfig) -> Kernel:
    """Convert a kernel for rescaled values, with the mask last, to one for raw values.

    w · (x - mean) / scale, where the mask is, is w / scale · x - w · mean / scale · mask. A missing
    pixel adds nothing: both its values and its mask are 0. The offset is that of the rounded
    kernel, in float64, because it nearly cancels the values where their mean is large.
    """
    factor, _ = config.rescaling
    raw = kernel.copy()
    raw[:, :, :-1] = raw[:, :, :-1] * np.reshape(factor, (-1, 1))
    means = np.zeros((raw.shape[2] - 1, 1))
    means[: config.channels, 0] = config.pixel_mean
    raw[:, :, -1] = raw[:, :, -1] - (raw[:, :, :-1] * means).sum(axis=2)
    return raw
