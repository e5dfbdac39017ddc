"""Number of valid pixels behind each output of a convolution.

Counts are float32 whatever the dtype of the features: float16 holds no integer above 2048 exactly,
and bfloat16 none above 256.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.ops.convolution import (
    convolve_in_any_order,
    convolve_transpose,
    pad_same,
    taps_of_phases,
)
from model.ops.modes import Normalization, Padding


def count_valid(
    mask: Any,
    kernel_size: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "same",
    dilation_rate: tuple[int, int] = (1, 1),
) -> Any:
    """Count the valid pixels under the kernel at each of its positions.

    Args:
        mask: bool (N, H, W, 1).
        kernel_size: height and width.
        strides: vertical and horizontal.
        padding: as in `convolve`; pixels outside the image are invalid.
        dilation_rate: of the kernel, vertical and horizontal.

    Returns:
        float32 (N, H', W', 1), whole numbers from 0 to kh · kw.

    Examples:
        >>> mask = tf.constant([True, True, False, False], shape=(1, 1, 4, 1))
        >>> count_valid(mask, (1, 3)).numpy().ravel()
        array([2., 2., 1., 0.], dtype=float32)
    """
    counts = pad_same(mask, kernel_size, dilation_rate) if padding == "same" else mask
    # Sums of bytes, row by row and column by column: a convolution of one channel takes long.
    fits_byte = kernel_size[0] * kernel_size[1] <= tf.uint8.max
    counts = tf.cast(counts, tf.uint8 if fits_byte else tf.int32)
    sides = zip((1, 2), kernel_size, strides, dilation_rate, strict=True)
    for axis, taps, stride, dilation in sides:
        counts = _sum_along(counts, axis, taps, stride, dilation)
    return tf.cast(counts, tf.float32)


def _sum_along(counts: Any, axis: int, taps: int, stride: int, dilation: int) -> Any:
    before = [slice(None)] * axis
    reach = (taps - 1) * dilation
    steps = [
        slice(first, (first - reach) or None, stride) for first in range(0, reach + 1, dilation)
    ]
    return functools.reduce(tf.add, [counts[(*before, step)] for step in steps])


def count_taps(
    mask: Any,
    taps: Any,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "same",
    dilation_rate: tuple[int, int] = (1, 1),
) -> Any:
    """Count the valid pixels under the taps of a kernel that are in use.

    Args:
        mask: bool (N, H, W, 1).
        taps: float32 (kh, kw, 1, F), number of times that each filter uses a pixel; a constant.
        strides: vertical and horizontal.
        padding: as in `convolve`.
        dilation_rate: of the kernel, vertical and horizontal.

    Returns:
        float32 (N, H', W', F).

    Examples:
        >>> mask = tf.constant([True, True, False, False], shape=(1, 1, 4, 1))
        >>> left = tf.constant([1.0, 0.0, 0.0], shape=(1, 3, 1, 1))
        >>> count_taps(mask, left).numpy().ravel()  # is the pixel to the left valid?
        array([0., 1., 1., 0.], dtype=float32)
    """
    return convolve_in_any_order(tf.cast(mask, tf.float32), taps, strides, padding, dilation_rate)


def count_valid_transpose(mask: Any, kernel_size: tuple[int, int], strides: tuple[int, int]) -> Any:
    """Count the valid pixels that reach each output of a transposed convolution.

    Args:
        mask: bool (N, H, W, 1).
        kernel_size: height and width.
        strides: vertical and horizontal.

    Returns:
        float32 (N, H · sy, W · sx, 1).

    Examples:
        >>> mask = tf.constant([True, False], shape=(1, 1, 2, 1))
        >>> count_valid_transpose(mask, (1, 2), (1, 2)).numpy().ravel()
        array([1., 1., 0., 0.], dtype=float32)
    """
    ones = tf.ones((*kernel_size, 1, 1), tf.float32)
    return convolve_transpose(tf.cast(mask, tf.float32), ones, strides)


def transpose_area(kernel_size: tuple[int, int], strides: tuple[int, int]) -> NDArray[np.float32]:
    """Count the taps of a transposed convolution that reach each phase of the finer grid.

    Args:
        kernel_size: height and width.
        strides: vertical and horizontal.

    Returns:
        float32 (1, sy, sx, 1): `count_valid_transpose` of one cell where all pixels are valid.

    Examples:
        >>> transpose_area((1, 3), (1, 2)).ravel()  # the checkerboard of 3 taps and a stride of 2
        array([2., 1.], dtype=float32)
    """
    sides = [
        taps_of_phases(size, stride).sum(axis=(0, 2))
        for size, stride in zip(kernel_size, strides, strict=True)
    ]
    return np.outer(*sides)[None, ..., None]


def coverage_scale(count: Any, area: Any, normalization: Normalization) -> Any:
    """Return the factor for a sum over `count` valid pixels.

    Args:
        count: float32 (N, H, W, 1), valid pixels under the kernel.
        area: kh · kw, the count where everything is valid; a number, or a map like `count`.
        normalization: `"none"` 1 · `"mean"` 1 / count · `"area"` area / count (Liu et al. 2018,
            arXiv:1804.07723) · `"variance"` sqrt(area / count), which keeps the output's variance.

    Returns:
        float32 like `count`; 0 where `count` is 0.

    Examples:
        >>> coverage_scale(tf.constant([0.0, 3.0, 9.0]), 9, "area").numpy()
        array([0., 3., 1.], dtype=float32)
    """
    if normalization == "none":
        return tf.cast(count > 0, tf.float32)
    full = tf.constant(1.0) if normalization == "mean" else tf.cast(area, tf.float32)
    scale = tf.math.divide_no_nan(full, count)
    return tf.sqrt(scale) if normalization == "variance" else scale
