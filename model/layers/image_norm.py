"""Normalisation by the statistics of each image's own valid pixels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras

from model import ops
from model.layers.arguments import read_channels, read_inputs, read_positive


class _ImageNormalization(keras.layers.Layer):
    """Abstract: normalisation of groups of an image's channels."""

    def __init__(self, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = float(epsilon)
        if not self.epsilon > 0:
            raise ValueError(f"`epsilon` must be positive. Received: {epsilon!r}")

    @abstractmethod
    def _count_groups(self, channels: int) -> int:
        """Return the number of groups of channels."""

    def build(self, input_shape: Any) -> None:
        """Create the scale and the offset for features of a known number of channels."""
        channels = read_channels(input_shape[0])
        self._count_groups(channels)
        self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Normalise, in float32."""
        x, mask, _ = read_inputs(inputs)
        x = ops.fill_invalid(x, mask)
        mean, variance = ops.group_moments(x, mask, self._count_groups(x.shape[-1]))
        scale = keras.ops.cast(self.gamma, "float32") * keras.ops.rsqrt(variance + self.epsilon)
        deviation = keras.ops.cast(x, "float32") - mean
        return keras.ops.cast(deviation * scale + keras.ops.cast(self.beta, "float32"), x.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("lacuna")
class MaskedGroupNormalization(_ImageNormalization):
    """Normalisation of each image's channels in groups, with moments over its valid pixels.

        y = gamma * (x - mean) / sqrt(variance + epsilon) + beta

    mean and variance are taken over the valid pixels of one image and the channels of one group.
    Invalid inputs count as 0; the output is not masked.

    Statistics over an image agree across canvases only up to rounding, and those of a tile differ
    from those of the image, so a network with this layer cannot be tiled exactly.

    Args:
        groups: number of equal parts into which the channels are divided.
        epsilon: added to the variance.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), bool (N, H, W, 1).

    Returns:
        Like x; beta where an image has no valid pixel.

    Raises:
        ValueError: if `groups` is not a positive integer that divides the channels, `epsilon` not
            positive, or the mask not bool (N, H, W, 1) or not of the size of x.

    Examples:
        >>> x, mask = tf.ones((1, 8, 6, 32)), tf.fill((1, 8, 6, 1), True)
        >>> MaskedGroupNormalization(groups=8)([x, mask]).shape
        TensorShape([1, 8, 6, 32])

    Reference:
        Wu & He 2018, Group Normalization, arXiv:1803.08494.
    """

    def __init__(self, groups: int = 32, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(epsilon, **kwargs)
        self.groups = read_positive(groups, "groups")

    def _count_groups(self, channels: int) -> int:
        if channels % self.groups:
            raise ValueError(f"`groups` must divide {channels} channels. Received: {self.groups}")
        return self.groups

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "groups": self.groups}


@keras.saving.register_keras_serializable("lacuna")
class MaskedInstanceNormalization(_ImageNormalization):
    """Normalisation of each channel of each image, with moments over its valid pixels.

        y = gamma * (x - mean) / sqrt(variance + epsilon) + beta

    `MaskedGroupNormalization` with groups of one channel, and the same notes on masking, canvases
    and tiles.

    Args:
        epsilon: added to the variance.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), bool (N, H, W, 1).

    Returns:
        Like x; beta where an image has no valid pixel.

    Raises:
        ValueError: if `epsilon` is not positive, or the mask not bool (N, H, W, 1) or not of the
            size of x.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> y = MaskedInstanceNormalization(epsilon=1e-6)([x, mask])  # mean 3, deviation 2
        >>> y[:, :, :2].numpy().round(3).ravel()
        array([-1.,  1.], dtype=float32)

    Reference:
        Ulyanov, Vedaldi & Lempitsky 2016, Instance Normalization, arXiv:1607.08022.
    """

    def _count_groups(self, channels: int) -> int:
        return channels
