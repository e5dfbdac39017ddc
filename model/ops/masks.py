"""Reading, resizing and applying masks: bool (N, H, W, 1), True = valid."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from model.ops.modes import Padding


def fill_invalid(values: Any, mask: Any, fill_value: float = 0.0) -> Any:
    """Replace the values of invalid pixels.

    A selection, not a product, because NaN · 0 is NaN, and so is its gradient.

    Args:
        values: (N, H, W, C).
        mask: bool (N, H, W, 1).
        fill_value: value of invalid pixels.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> fill_invalid(x, mask).numpy().ravel()
        array([1., 5., 0., 0.], dtype=float32)
    """
    return tf.where(mask, values, tf.cast(fill_value, values.dtype))


def pad_to_multiple(values: Any, sides: tuple[int, int], constant: Any = 0) -> Any:
    """Pad on the right and at the bottom, so that every pixel keeps its phase on a grid of cells.

    Args:
        values: (N, H, W, C), any dtype.
        sides: of a cell, height and width.
        constant: value of the padding.

    Returns:
        (N, H', W', C), H' and W' the next multiples of the sides.

    Examples:
        >>> pad_to_multiple(tf.ones((1, 8, 6, 3)), (4, 4)).shape
        TensorShape([1, 8, 8, 3])
    """
    _, height, width, _ = tf.unstack(tf.shape(values))
    paddings = [[0, 0], [0, -height % sides[0]], [0, -width % sides[1]], [0, 0]]
    return tf.pad(values, paddings, constant_values=tf.cast(constant, values.dtype))


def any_in_blocks(mask: Any, strides: tuple[int, int], offset: tuple[int, int] = (0, 0)) -> Any:
    """Find the blocks of `strides` pixels that hold a valid one.

    Args:
        mask: bool (N, H, W, 1).
        strides: height and width of a block; blocks tile the image from `offset` on, and the last
            ones may reach past its end, where no pixel is valid.
        offset: first pixel of the first block.

    Returns:
        bool (N, ceil((H - oy) / sy), ceil((W - ox) / sx), 1).

    Examples:
        >>> mask = tf.constant([True, False, False, False], shape=(1, 1, 4, 1))
        >>> any_in_blocks(mask, (1, 2)).numpy().ravel()
        array([ True, False])
    """
    if any(offset):
        mask = mask[:, offset[0] :, offset[1] :]
    if strides == (1, 1):
        return mask
    cells = pad_to_multiple(mask, strides)
    n, height, width, _ = tf.unstack(tf.shape(cells))
    rows, columns = height // strides[0], width // strides[1]
    # Two ORs over neighbouring bytes, because pooling would need floats.
    cells = _unite(tf.reshape(cells, [n * rows, strides[0], width]))
    cells = _unite(tf.reshape(cells, [n * rows * columns, strides[1]]))
    return tf.reshape(cells, [n, rows, columns, 1])


def _unite(mask: Any) -> Any:
    """Return the OR along the second axis, whose length is known."""
    return functools.reduce(tf.logical_or, tf.unstack(mask, axis=1))


def keep_mask(
    mask: Any,
    size: Any,
    kernel_size: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding,
    dilation_rate: tuple[int, int],
) -> Any:
    """Mark each output of a convolution whose block of `strides` pixels holds a valid one.

    Args:
        mask: bool (N, H, W, 1), of the input.
        size: int32 (2,), height and width of the output.
        kernel_size: height and width.
        strides: vertical and horizontal.
        padding: as in `convolve`.
        dilation_rate: of the kernel, vertical and horizontal.

    Returns:
        bool (N, H', W', 1), valid where any pixel of the block is. It never grows.

    Examples:
        >>> mask = tf.constant([True, False, False, False], shape=(1, 1, 4, 1))
        >>> keep_mask(mask, (1, 2), (1, 3), (1, 2), "same", (1, 1)).numpy().ravel()
        array([ True, False])
    """
    if padding == "same":
        return any_in_blocks(mask, strides)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation_rate, strict=True)]
    # Without padding, the first output belongs to the middle of its window.
    offset = [max(span - stride, 0) // 2 for span, stride in zip(spans, strides, strict=True)]
    return any_in_blocks(mask, strides, (offset[0], offset[1]))[:, : size[0], : size[1]]


def find_nodata(values: Any, nodata: float) -> Any:
    """Find the pixels whose channels all hold the no-data value.

    Args:
        values: (N, H, W, C), float or integer.
        nodata: a finite number; one that the dtype cannot hold matches no pixel.

    Returns:
        bool (N, H, W, 1).

    Examples:
        >>> x = tf.constant([[0, 0], [0, 7]], shape=(1, 1, 2, 2))
        >>> find_nodata(x, 0).numpy().ravel()  # missing where all channels are
        array([ True, False])
    """
    dtype = values.dtype
    if dtype.is_floating:
        wanted = tf.cast(tf.constant(nodata, tf.float64), dtype)
    elif float(nodata).is_integer() and dtype.min <= nodata <= dtype.max:
        wanted = tf.constant(int(nodata), dtype)
    else:
        return tf.zeros_like(values[..., :1], tf.bool)
    return tf.reduce_all(values == wanted, axis=-1, keepdims=True)
