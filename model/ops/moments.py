"""Means and variances over valid pixels, in float32 and in two passes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from model.ops.masks import fill_invalid


def masked_moments(values: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Mean and variance of each channel over the valid pixels of a batch.

    Args:
        values: float (N, H, W, C); values of invalid pixels are never read.
        mask: bool (N, H, W, 1).

    Returns:
        mean float32 (C,), variance float32 (C,), number of valid pixels float32 (); all 0 where
        no pixel is valid.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> mean, variance, count = masked_moments(x, mask)
        >>> mean.numpy(), variance.numpy(), float(count)
        (array([3.], dtype=float32), array([4.], dtype=float32), 2.0)
    """
    values = tf.cast(fill_invalid(values, mask), tf.float32)
    mean, variance, count = _moments(values, mask, [0, 1, 2], 1)
    return mean[0, 0, 0], variance[0, 0, 0], tf.reshape(count, [])


def group_moments(values: Any, mask: Any, groups: int) -> tuple[Any, Any]:
    """Mean and variance over the valid pixels of each image and group of channels.

    Args:
        values: float (N, H, W, C); values of invalid pixels are never read.
        mask: bool (N, H, W, 1).
        groups: number of equal parts into which the channels are divided.

    Returns:
        mean and variance, float32 (N, 1, 1, C), equal for the channels of a group; 0 where an image
        has no valid pixel.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> mean, variance = group_moments(x, mask, groups=1)
        >>> mean.numpy().ravel(), variance.numpy().ravel()
        (array([3.], dtype=float32), array([4.], dtype=float32))
    """
    values = tf.cast(fill_invalid(values, mask), tf.float32)
    size, channels = tf.shape(values), values.shape[-1]
    together = channels // groups
    parts = tf.reshape(values, [size[0], size[1], size[2], groups, together])
    mean, variance, _ = _moments(parts, mask[..., None], [1, 2, 4], together)
    shape = [size[0], 1, 1, channels]
    return tuple(
        tf.reshape(tf.repeat(moment, together, axis=-1), shape) for moment in (mean, variance)
    )


def _moments(values: Any, mask: Any, axes: list[int], per_pixel: int) -> tuple[Any, Any, Any]:
    axes_of_mask = [axis for axis in axes if axis < 4]
    count = tf.reduce_sum(tf.cast(mask, tf.float32), axis=axes_of_mask, keepdims=True) * per_pixel
    at_least_one = tf.maximum(count, 1.0)
    mean = tf.reduce_sum(values, axis=axes, keepdims=True) / at_least_one
    deviation = fill_invalid(values - mean, mask)
    variance = tf.reduce_sum(tf.square(deviation), axis=axes, keepdims=True) / at_least_one
    return mean, variance, count
