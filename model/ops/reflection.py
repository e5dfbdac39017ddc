"""Filling of missing pixels by reflection within the cells of fixed grids."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from model.ops.masks import pad_to_multiple


def find_reflections(mask: Any, levels: int) -> Any:
    """Find the valid pixel that each pixel is filled from.

    Cells of 2, 4, … and 2**levels pixels tile the image from its first pixel on. A missing pixel is
    filled from where the reflection of its cell takes it, left to right and then top to bottom,
    in the smallest cell in which a valid pixel is found. Nothing leaves a cell of the largest size.

    Args:
        mask: bool (N, H, W, 1).
        levels: number of sizes of cells.

    Returns:
        int32 (N, H', W') of the size that is padded to whole cells: position of the valid pixel,
        counted along the rows of all images. It is the pixel's own where that is valid, and −1
        where none is found.

    Examples:
        >>> mask = tf.constant([True, False, False, False, False], shape=(1, 1, 5, 1))
        >>> find_reflections(mask, 1)[0].numpy()
        array([[ 0,  0, -1, -1, -1, -1],
               [ 0,  0, -1, -1, -1, -1]], dtype=int32)
    """
    given = tf.squeeze(pad_to_multiple(mask, (2**levels, 2**levels), constant=False), 3)
    size = tf.shape(given)
    n, height, width = tf.unstack(size)
    _, image_height, image_width, _ = tf.unstack(tf.shape(mask))
    rows = tf.expand_dims(tf.range(n) * image_height, 1) + tf.range(height)
    places = tf.expand_dims(rows * image_width, 2) + tf.range(width)
    found = tf.where(given, places, -1)
    for level in range(1, levels + 1):
        side = 2**level
        for cells in ([-1, side], [-1, side, width]):
            reflected = tf.reshape(tf.reverse(tf.reshape(found, cells), [1]), size)
            found = tf.where(found < 0, reflected, found)
    return found


def take_positions(values: Any, positions: Any) -> Any:
    """Take pixels to new places.

    Args:
        values: (N, H, W, C).
        positions: int32, counted along the rows of all images; −1 for none.

    Returns:
        The shape of `positions`, and C. Where there is none, it is 0.

    Examples:
        >>> x = tf.constant([5.0, 6.0], shape=(1, 1, 2, 1))
        >>> take_positions(x, tf.constant([[1, 0, -1]]))[..., 0].numpy()
        array([[6., 5., 0.]], dtype=float32)
    """
    pixels = tf.reshape(values, [-1, values.shape[-1]])
    # One more pixel of 0 costs less than to set what was taken to 0 afterwards.
    padded = tf.pad(pixels, [[1, 0], [0, 0]])
    return tf.gather(padded, positions + 1)
