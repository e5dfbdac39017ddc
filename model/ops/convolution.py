"""Convolutions that know nothing of validity, and sum in an order that no canvas changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.ops.modes import Padding


def pad_same(values: Any, kernel_size: tuple[int, int], dilation_rate: tuple[int, int]) -> Any:
    """Pad by (k - 1) / 2 · dilation zeros on every side, whatever the size's parity.

    TensorFlow's own SAME moves its phase with the size as soon as there is a stride, so a result
    would depend on how far the image's canvas reaches.

    Args:
        values: (N, H, W, C), float or bool; bool is padded with False.
        kernel_size: odd height and width.
        dilation_rate: of the kernel, vertical and horizontal.
    """
    (top, left) = [(k - 1) // 2 * d for k, d in zip(kernel_size, dilation_rate, strict=True)]
    return tf.pad(values, [[0, 0], [top, top], [left, left], [0, 0]])


def convolve(
    values: Any,
    kernel: Any,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "same",
    dilation_rate: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Any:
    """Convolve with fixed padding and no knowledge of validity.

    Args:
        values: float (N, H, W, C).
        kernel: float (kh, kw, C / groups, F).
        strides: vertical and horizontal.
        padding: `"same"` as `pad_same` does it, or `"valid"`.
        dilation_rate: of the kernel, vertical and horizontal.
        groups: into how many parts channels and filters are cut; each part of the filters reads
            its own part of the channels.

    Returns:
        float (N, H', W', F).
    """
    if groups > 1:
        # One by one: on a CPU TensorFlow has no gradient of a convolution in groups.
        parts = zip(tf.split(values, groups, -1), tf.split(kernel, groups, -1), strict=True)
        return tf.concat([convolve(*part, strides, padding, dilation_rate) for part in parts], -1)
    if values.shape[-1] == 1:
        # TensorFlow sums a single channel in another order when an image is alone in its batch.
        values, kernel = _add_zero_channel(values, 3), _add_zero_channel(kernel, 2)
    return convolve_in_any_order(values, kernel, strides, padding, dilation_rate)


def _add_zero_channel(values: Any, axis: int) -> Any:
    return tf.pad(values, [[0, int(at == axis)] for at in range(4)])


def convolve_in_any_order(
    values: Any,
    kernel: Any,
    strides: tuple[int, int],
    padding: Padding,
    dilation_rate: tuple[int, int],
) -> Any:
    """Convolve as `convolve` does, for whole numbers: their sums are exact in any order."""
    if padding == "same" and strides == (1, 1):
        # Without a stride SAME is the same fixed padding, and spares a copy.
        return tf.nn.conv2d(values, kernel, 1, "SAME", dilations=dilation_rate)
    if padding == "same":
        values = pad_same(values, tuple(kernel.shape[:2]), dilation_rate)
    return tf.nn.conv2d(values, kernel, strides, "VALID", dilations=dilation_rate)


def convolve_depthwise(
    values: Any,
    kernel: Any,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "same",
    dilation_rate: tuple[int, int] = (1, 1),
) -> Any:
    """Convolve every channel by itself, with the fixed padding of `convolve`.

    Args:
        values: float (N, H, W, C).
        kernel: float (kh, kw, C, M).
        strides: vertical and horizontal; TensorFlow wants them equal, and 1 with a dilation.
        padding: as in `convolve`.
        dilation_rate: of the kernel, vertical and horizontal.

    Returns:
        float (N, H', W', C · M), the M maps of one channel side by side.
    """
    same = padding == "same" and strides == (1, 1)
    if padding == "same" and not same:
        values = pad_same(values, tuple(kernel.shape[:2]), dilation_rate)
    return tf.nn.depthwise_conv2d(
        values, kernel, (1, *strides, 1), "SAME" if same else "VALID", dilations=dilation_rate
    )


def convolve_transpose(values: Any, kernel: Any, strides: tuple[int, int]) -> Any:
    """Spread every pixel over the finer grid: the transpose of a convolution with a stride.

    Output o takes from input i the tap t = o - i · s + (k - s) // 2, for every size alike. Computed
    as a convolution on the coarse grid with filters for each phase of the finer one: TensorFlow's
    own sums in an order that depends on the size of the canvas.

    Args:
        values: float (N, H, W, C).
        kernel: float (kh, kw, F, C), kh and kw not less than the strides.
        strides: vertical and horizontal; how many finer pixels a pixel becomes.

    Returns:
        float (N, H · sy, W · sx, F).
    """
    vertical, horizontal = (
        tf.constant(taps_of_phases(size, stride), kernel.dtype)
        for size, stride in zip(kernel.shape[:2], strides, strict=True)
    )
    by_phase = tf.einsum("ypk,xql,klfc->yxcpqf", vertical, horizontal, kernel)
    filters = strides[0] * strides[1] * kernel.shape[2]
    phases = convolve(values, tf.reshape(by_phase, [*by_phase.shape[:3], filters]))
    n, height, width = tf.unstack(tf.shape(values)[:3])
    cells = tf.reshape(phases, [n, height, width, *strides, kernel.shape[2]])
    size = [n, height * strides[0], width * strides[1], kernel.shape[2]]
    return tf.reshape(tf.transpose(cells, [0, 1, 3, 2, 4, 5]), size)


def taps_of_phases(size: int, stride: int) -> NDArray[np.float32]:
    """Say which tap takes from which neighbour: (neighbours, stride, size), 1 or 0."""
    before = (size - stride) // 2
    reach = max((stride - 1 + before) // stride, (size - 1 - before) // stride)
    taps = np.zeros((2 * reach + 1, stride, size), np.float32)
    for neighbour, phase, tap in np.ndindex(*taps.shape):
        taps[neighbour, phase, tap] = tap == phase - (neighbour - reach) * stride + before
    return taps
