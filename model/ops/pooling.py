"""Maxima and means of valid pixels, in cells and over whole images."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from model.ops.coverage import count_valid, coverage_scale
from model.ops.masks import any_in_blocks, fill_invalid, pad_to_multiple


def masked_max_pool(values: Any, mask: Any, size: tuple[int, int]) -> tuple[Any, Any]:
    """Maximum of the valid pixels of each cell.

    Args:
        values: float (N, H, W, C).
        mask: bool (N, H, W, 1).
        size: height and width of a cell; the last ones may reach past the image's end.

    Returns:
        float (N, ceil(H / sy), ceil(W / sx), C), 0 where a cell has no valid pixel, and whether it
        has one, bool (N, ceil(H / sy), ceil(W / sx), 1).

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> y, mask = masked_max_pool(x, mask, (1, 2))
        >>> y.numpy().ravel(), mask.numpy().ravel()
        (array([5., 0.], dtype=float32), array([ True, False]))
    """
    lowest = values.dtype.min
    cells = pad_to_multiple(fill_invalid(values, mask, lowest), size, lowest)
    updated = any_in_blocks(mask, size)
    return fill_invalid(tf.nn.max_pool2d(cells, size, size, "VALID"), updated), updated


def masked_average_pool(values: Any, mask: Any, size: tuple[int, int]) -> tuple[Any, Any]:
    """Mean of the valid pixels of each cell.

    Args:
        values: float (N, H, W, C).
        mask: bool (N, H, W, 1).
        size: as in `masked_max_pool`.

    Returns:
        As `masked_max_pool`.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> y, mask = masked_average_pool(x, mask, (1, 4))
        >>> y.numpy().ravel()
        array([3.], dtype=float32)
    """
    cells = pad_to_multiple(fill_invalid(values, mask), size)
    means = tf.nn.avg_pool2d(cells, size, size, "VALID")
    count = count_valid(pad_to_multiple(mask, size), size, size, "valid")
    scale = coverage_scale(count, size[0] * size[1], "area")
    return means * tf.cast(scale, means.dtype), count > 0


def masked_mean(values: Any, mask: Any) -> Any:
    """Mean over valid pixels, per image and channel.

    Args:
        values: float (N, H, W, C); values of invalid pixels are never read.
        mask: bool (N, H, W, 1).

    Returns:
        float32 (N, 1, 1, C); 0 where an image has no valid pixel.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> masked_mean(x, mask).numpy().ravel()
        array([3.], dtype=float32)
    """
    values = tf.cast(fill_invalid(values, mask), tf.float32)
    count = tf.reduce_sum(tf.cast(mask, tf.float32), axis=[1, 2], keepdims=True)
    return tf.reduce_sum(values, axis=[1, 2], keepdims=True) / tf.maximum(count, 1.0)


def masked_max(values: Any, mask: Any) -> Any:
    """Maximum over valid pixels, per image and channel.

    Args:
        values: float (N, H, W, C); values of invalid pixels are never read.
        mask: bool (N, H, W, 1).

    Returns:
        Like values, (N, 1, 1, C); 0 where an image has no valid pixel.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> masked_max(x, mask).numpy().ravel()
        array([5.], dtype=float32)
    """
    highest = tf.reduce_max(fill_invalid(values, mask, values.dtype.min), [1, 2], keepdims=True)
    return fill_invalid(highest, tf.reduce_any(mask, axis=[1, 2], keepdims=True))
