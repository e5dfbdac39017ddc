"""Upsampling by whole factors."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def upsample_nearest(values: Any, factors: tuple[int, int]) -> Any:
    """Repeat every pixel as a cell of a finer grid.

    Args:
        values: (N, H, W, C), any dtype.
        factors: height and width of a cell.

    Returns:
        (N, H · fy, W · fx, C).

    Examples:
        >>> upsample_nearest(tf.constant([1.0, 2.0], shape=(1, 1, 2, 1)), (1, 2)).numpy().ravel()
        array([1., 1., 2., 2.], dtype=float32)
    """
    n, h, w, _ = tf.unstack(tf.shape(values))
    channels = values.shape[-1]
    cells = tf.broadcast_to(
        values[:, :, None, :, None, :], [n, h, factors[0], w, factors[1], channels]
    )
    return tf.reshape(cells, [n, h * factors[0], w * factors[1], channels])


def upsample_linear(values: Any, factors: tuple[int, int]) -> Any:
    """Interpolate bilinearly by whole factors, with zeros around the image.

    Pixels are the centres of their cells, as in `tf.image.resize`. The weights depend only
    on the phase in the cell, so neither the canvas nor the origin of a tile changes a bit.

    Args:
        values: float (N, H, W, C).
        factors: height and width of a cell.

    Returns:
        float (N, H · fy, W · fx, C).

    Examples:
        >>> upsample_linear(tf.constant([4.0, 8.0], shape=(1, 1, 2, 1)), (1, 2)).numpy().ravel()
        array([3., 5., 7., 6.], dtype=float32)
    """
    for axis, factor in zip((1, 2), factors, strict=True):
        values = _interpolate(values, axis, factor)
    return values


def _interpolate(values: Any, axis: int, factor: int) -> Any:
    edge = [[int(at == axis), 0] for at in range(4)]
    everything = [slice(None)] * axis
    before = tf.pad(values, edge)[(*everything, slice(None, -1))]
    after = tf.pad(values, [pair[::-1] for pair in edge])[(*everything, slice(1, None))]
    phases = []
    for phase in range(factor):
        away = (2 * phase + 1 - factor) / (2 * factor)  # from the pixel's centre, in pixels
        neighbour = before if away < 0 else after
        phases.append(values * (1 - abs(away)) + neighbour * abs(away))
    shape = tf.unstack(tf.shape(values))
    shape[axis] *= factor
    result = tf.reshape(tf.stack(phases, axis=axis + 1), shape)
    return tf.ensure_shape(result, [None, None, None, values.shape[-1]])
