"""Convolutions without masks, whose order of summation does not depend on the canvas."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.ops.modes import Padding


def pad_same(values: Any, kernel_size: tuple[int, int], dilation_rate: tuple[int, int]) -> Any:
    """Pad by (k - 1) / 2 · dilation zeros on every side, whatever the parity of the size.

    With a stride, the phase of TensorFlow's SAME depends on the size, so a result would depend on
    the size of the canvas.

    Args:
        values: (N, H, W, C), float or bool; bool is padded with False.
        kernel_size: odd height and width.
        dilation_rate: of the kernel, vertical and horizontal.

    Examples:
        >>> pad_same(tf.ones((1, 8, 6, 3)), (3, 3), (2, 2)).shape
        TensorShape([1, 12, 10, 3])
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
    """Convolve with fixed padding, without a mask.

    Args:
        values: float (N, H, W, C).
        kernel: float (kh, kw, C / groups, F).
        strides: vertical and horizontal.
        padding: `"same"`, as in `pad_same`, or `"valid"`.
        dilation_rate: of the kernel, vertical and horizontal.
        groups: number of parts into which channels and filters are divided; each part of the
            filters reads its own part of the channels.

    Returns:
        float (N, H', W', F).

    Examples:
        >>> convolve(tf.ones((1, 1, 4, 1)), tf.ones((1, 3, 1, 1))).numpy().ravel()
        array([2., 3., 3., 2.], dtype=float32)
    """
    if groups > 1:
        # One by one, because TensorFlow has no gradient of a grouped convolution on a CPU.
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
    """Convolve whole numbers as in `convolve`: their sums are exact in any order."""
    size = tuple(kernel.shape[:2])
    if padding == "same" and strides == (1, 1) and _reaches_next_pixel(size, dilation_rate):
        # Without a stride, SAME is the same fixed padding and avoids a copy. For kernels that reach
        # further, oneDNN's sums on AVX2 would depend on the size of the image.
        return tf.nn.conv2d(values, kernel, 1, "SAME")
    if padding == "same":
        values = pad_same(values, size, dilation_rate)
    return tf.nn.conv2d(values, kernel, strides, "VALID", dilations=dilation_rate)


def _reaches_next_pixel(size: tuple[int, int], dilation_rate: tuple[int, int]) -> bool:
    """Return whether a kernel reaches no further than to the pixels beside its centre."""
    return all(k <= 3 and (k == 1 or d == 1) for k, d in zip(size, dilation_rate, strict=True))


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
        strides: vertical and horizontal; TensorFlow requires them to be equal, and 1 with a
            dilation.
        padding: as in `convolve`.
        dilation_rate: of the kernel, vertical and horizontal.

    Returns:
        float (N, H', W', C · M), the M maps of one channel side by side.

    Examples:
        >>> convolve_depthwise(tf.ones((1, 8, 6, 3)), tf.ones((3, 3, 3, 2))).shape
        TensorShape([1, 8, 6, 6])
    """
    same = padding == "same" and strides == (1, 1)
    if padding == "same" and not same:
        values = pad_same(values, tuple(kernel.shape[:2]), dilation_rate)
    return tf.nn.depthwise_conv2d(
        values, kernel, (1, *strides, 1), "SAME" if same else "VALID", dilations=dilation_rate
    )


def convolve_transpose(values: Any, kernel: Any, strides: tuple[int, int]) -> Any:
    """Apply the transpose of a convolution with a stride, from a coarse grid to a finer one.

    Output o takes the tap t = o - i · s + (k - s) // 2 from input i, whatever the size. Computed as
    a convolution on the coarse grid with filters for each phase of the finer one, because the order
    of summation in TensorFlow's own depends on the size of the canvas.

    Args:
        values: float (N, H, W, C).
        kernel: float (kh, kw, F, C), kh and kw not less than the strides.
        strides: vertical and horizontal; height and width of the cell that a pixel becomes.

    Returns:
        float (N, H · sy, W · sx, F).

    Examples:
        >>> convolve_transpose(tf.ones((1, 1, 2, 1)), tf.ones((1, 2, 1, 1)), (1, 2)).numpy().ravel()
        array([1., 1., 1., 1.], dtype=float32)
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
    """Return 1 for the tap of each phase and neighbour, else 0: (neighbours, stride, size)."""
    before = (size - stride) // 2
    reach = max((stride - 1 + before) // stride, (size - 1 - before) // stride)
    taps = np.zeros((2 * reach + 1, stride, size), np.float32)
    for neighbour, phase, tap in np.ndindex(*taps.shape):
        taps[neighbour, phase, tap] = tap == phase - (neighbour - reach) * stride + before
    return taps
