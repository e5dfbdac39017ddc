"""Values of missing pixels, for networks that know no mask."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from model.adopt.options import NEAREST_CELL
from model.ops.masks import fill_invalid
from model.ops.pooling import masked_mean
from model.ops.upsampling import upsample_nearest


def fill_missing(image: Any, mask: Any, fill: str, constant: float = 0.0) -> Any:
    """Fill the invalid pixels of images.

    Args:
        image: float32 (N, H, W, C); what stands under an invalid mask is never read.
        mask: bool (N, H, W, 1), True = valid.
        fill: one of `FILLS`, as `AdoptionOptions` describes them.
        constant: value of the fill `"constant"`.

    Returns:
        float32 (N, H, W, C).
    """
    known = fill_invalid(image, mask)
    if fill == "mean":
        return tf.where(mask, known, masked_mean(known, mask))
    if fill == "nearest":
        return _fill_from_cells(known, mask, NEAREST_CELL)
    return tf.where(mask, known, constant if fill == "constant" else 0.0)


def _fill_from_cells(values: Any, mask: Any, side: int) -> Any:
    """Fill from the means of cells of 2 × 2 pixels, which are filled in the same way before.

    Args:
        values: float32 (N, H, W, C), 0 where invalid.
        mask: bool (N, H, W, 1).
        side: side of the largest cell in pixels, a power of 2.
    """
    if side == 1:
        return values
    # The mean of a cell that reaches past the border is divided by the same number in both.
    sums = tf.nn.avg_pool2d(values, 2, 2, "SAME")
    counts = tf.nn.avg_pool2d(tf.cast(mask, values.dtype), 2, 2, "SAME")
    means = tf.math.divide_no_nan(sums, counts)
    cells = upsample_nearest(_fill_from_cells(means, counts > 0, side // 2), (2, 2))
    height, width = tf.unstack(tf.shape(values)[1:3])
    return tf.where(mask, values, cells[:, :height, :width])
