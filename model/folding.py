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

Where convolutions are separable the depthwise one makes 1 / c of the mask and the 1 × 1 one adds b
and hands the mask on. Where a shortcut is added it brings the mask along, so the convolution beside
it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model.layers import CutUpSampling2D, EmbedMask
from model.network import (
    FIRST_CONV,
    KERNEL_SIZE,
    Form,
    Level,
    NetworkConfig,
    build_network,
    make_conv2d,
)

Kernel = NDArray[np.float32]
Bias = NDArray[np.float32]


class FoldedForm(Form):
    """How the parts of an exported network are made."""

    def begin(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """Pad, zero what is invalid, append the mask; raw values stay as they are."""
        return EmbedMask(self.config.total_stride, name="embed")([image, mask])

    def apply_unit(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, rectify, multiply."""
        return self._multiply(self._rectify(x, width, name), level, name)

    def apply_affine(self, x: Any, level: Level, width: int, name: str) -> Any:
        """Convolve, multiply."""
        x = self.convolve(x, width + 1, name, use_bias=self._has_bias(name))
        return self._multiply(x, level, name)

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
        return self._multiply(logits(self._rectify(x, width, last)), level, "output")

    def _rectify(self, x: Any, width: int, name: str) -> Any:
        x = self.convolve(x, width + 1, name, use_bias=self._has_bias(name))
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def _multiply(self, x: Any, level: Level, name: str) -> Any:
        return keras.layers.Multiply(name=f"{name}_coverage")([x, level.coverage])

    def _has_bias(self, name: str) -> bool:
        return self.config.block != "separable" or name == FIRST_CONV


def fold_batch_norm(network: keras.Model, config: NetworkConfig) -> keras.Model:
    """Make the form of a trained network that is exported.

    Args:
        network: from `build_network(config)`.
        config: the same.

    Returns:
        A network without batch normalisation that computes what `network` does in inference, up to
        rounding.
    """
    folded = build_network(config, FoldedForm(config))
    for layer in folded.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D):
            layer.set_weights(_fold_layer(layer.name, network, config))
    return folded


def _fold_layer(name: str, network: keras.Model, config: NetworkConfig) -> list[Kernel]:
    """Make the weights of one convolution of the folded network from the trained one's."""
    kernel, *bias = (np.asarray(weight) for weight in network.get_layer(name).get_weights())
    maps = _split_channels(name, kernel.shape[2], config)
    if name.endswith("_depthwise"):
        return [_insert_masks(kernel, maps, axis=2, last=1 / KERNEL_SIZE**2)]
    if name == "logits":
        # The mask channel is 1 / c before the product with c, and carries the bias over it.
        return [_insert_masks(kernel, maps, axis=2, last=bias[0])]
    scale, offset = (
        np.asarray(values) for values in network.get_layer(f"{name}_norm").inference_affine()
    )
    hands_on = config.block != "residual" or not name.endswith(f"conv{config.convs_per_level - 1}")
    folded, share = _carry_mask(kernel * scale, offset, maps, hands_on=hands_on)
    if name in (FIRST_CONV, "down0_shortcut"):
        folded = _fold_rescaling(folded, config)
    return [folded] if share is None else [folded, share]


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
    kernel: Kernel, offset: Bias, maps: Sequence[int], *, hands_on: bool
) -> tuple[Kernel, Bias | None]:
    """Give a convolution the mask as a last channel to read, and to hand on.

    Args:
        kernel: float32 (k, k, C, F).
        offset: float32 (F,), added to the output wherever it is valid.
        maps: channels of each feature map in the input. Each brings a mask; the last one is read.
        hands_on: whether the last output channel is the mask; if not it is 0.

    Returns:
        The kernel float32 (k, k, C + number of maps, F + 1), and the bias float32 (F + 1,), or
        None for a kernel of 1 × 1, which reads the mask only where it is 1 / c already.
    """
    size = kernel.shape[0]
    kernel = np.concatenate([kernel, np.zeros((*kernel.shape[:3], 1), np.float32)], axis=3)
    share = np.append(offset, np.float32(hands_on)) / np.float32(size * size)
    folded = _insert_masks(kernel, maps, axis=2, last=share)
    if size == 1:
        return folded, None
    # Where the output is valid the middle pixel is: its share is always there, as a bias.
    folded[size // 2, size // 2, -1] = 0
    return folded, share


def _fold_rescaling(kernel: Kernel, config: NetworkConfig) -> Kernel:
    """Make a kernel that reads rescaled values, and the mask last, read raw ones.

    w · (x - mean) / scale, where the mask is, is w / scale · x - w · mean / scale · mask.
    """
    raw = kernel.copy()
    raw[:, :, :-1] /= config.pixel_scale
    raw[:, :, -1] -= raw[:, :, :-1].sum(axis=2) * config.pixel_mean
    return raw
