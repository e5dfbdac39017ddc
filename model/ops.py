"""Masked convolution and its bookkeeping as stateless TensorFlow functions.

Masks are bool (N, H, W, 1), True = valid. Counts are float32 whatever the features' dtype: float16
holds no integer above 2048 exactly, and bfloat16 none above 256.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import tensorflow as tf

Normalization = Literal["none", "mean", "area", "variance"]
MaskUpdate = Literal["keep", "any", "all"]
Padding = Literal["same", "valid"]

NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)
MASK_UPDATES: tuple[MaskUpdate, ...] = get_args(MaskUpdate)
PADDINGS: tuple[Padding, ...] = get_args(Padding)


def fill_invalid(values: Any, mask: Any, fill_value: float = 0.0) -> Any:
    """Replace what stands at invalid pixels.

    A selection, not a product: NaN · 0 is NaN, and its gradient would be too.

    Args:
        values: (N, H, W, C).
        mask: bool (N, H, W, 1).
        fill_value: what invalid pixels become.
    """
    return tf.where(mask, values, tf.cast(fill_value, values.dtype))


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
) -> Any:
    """Convolve with fixed padding and no knowledge of validity.

    Args:
        values: float (N, H, W, C).
        kernel: float (kh, kw, C, F).
        strides: vertical and horizontal.
        padding: `"same"` as `pad_same` does it, or `"valid"`.
        dilation_rate: of the kernel, vertical and horizontal.

    Returns:
        float (N, H', W', F).
    """
    if padding == "same" and strides == (1, 1):
        # Without a stride SAME is the same fixed padding, and spares a copy.
        return tf.nn.conv2d(values, kernel, 1, "SAME", dilations=dilation_rate)
    if padding == "same":
        values = pad_same(values, tuple(kernel.shape[:2]), dilation_rate)
    return tf.nn.conv2d(values, kernel, strides, "VALID", dilations=dilation_rate)


def count_valid(
    mask: Any,
    kernel_size: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "same",
    dilation_rate: tuple[int, int] = (1, 1),
) -> Any:
    """Count the valid pixels under the kernel at each of its places.

    Args:
        mask: bool (N, H, W, 1).
        kernel_size: height and width.
        strides: vertical and horizontal.
        padding: as in `convolve`; what lies outside the image is invalid.
        dilation_rate: of the kernel, vertical and horizontal.

    Returns:
        float32 (N, H', W', 1), whole numbers from 0 to kh · kw.
    """
    ones = tf.ones((*kernel_size, 1, 1), tf.float32)
    return convolve(tf.cast(mask, tf.float32), ones, strides, padding, dilation_rate)


def coverage_scale(count: Any, area: int, normalization: Normalization) -> Any:
    """Say by how much a sum over `count` valid pixels is to be multiplied.

    Args:
        count: float32 (N, H, W, 1), valid pixels under the kernel.
        area: kh · kw, the count where everything is valid.
        normalization: `"none"` 1 · `"mean"` 1 / count · `"area"` area / count (Liu et al. 2018,
            arXiv:1804.07723) · `"variance"` sqrt(area / count), which keeps the output's variance.

    Returns:
        float32 like `count`; 0 where `count` is 0.
    """
    some = count > 0
    at_least_one = tf.maximum(count, 1.0)  # keeps the division, and its gradient, finite
    if normalization == "none":
        scale = tf.ones_like(count)
    elif normalization == "mean":
        scale = 1.0 / at_least_one
    elif normalization == "area":
        scale = float(area) / at_least_one
    else:
        scale = tf.sqrt(float(area) / at_least_one)
    return tf.where(some, scale, 0.0)


def any_in_blocks(mask: Any, strides: tuple[int, int], offset: tuple[int, int] = (0, 0)) -> Any:
    """Tell which blocks of `strides` pixels hold a valid one.

    Args:
        mask: bool (N, H, W, 1).
        strides: height and width of a block; blocks tile the image from `offset` on, and the last
            ones may reach past its end, where nothing is valid.
        offset: where the first block begins.

    Returns:
        bool (N, ceil((H - oy) / sy), ceil((W - ox) / sx), 1).
    """
    mask = mask[:, offset[0] :, offset[1] :]
    if strides == (1, 1):
        return mask
    size = tf.shape(mask)
    bottom, right = (-size[1]) % strides[0], (-size[2]) % strides[1]
    mask = tf.pad(mask, [[0, 0], [0, bottom], [0, right], [0, 0]])
    return tf.nn.max_pool2d(tf.cast(mask, tf.float32), strides, strides, "VALID") > 0


def update_mask(
    mask: Any,
    count: Any,
    kernel_size: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding,
    dilation_rate: tuple[int, int],
    mask_update: MaskUpdate,
) -> Any:
    """Say which outputs of a masked convolution are valid.

    Args:
        mask: bool (N, H, W, 1), of the input.
        count: float32 (N, H', W', 1), from `count_valid`.
        kernel_size: height and width.
        strides: vertical and horizontal.
        padding: as in `convolve`.
        dilation_rate: of the kernel, vertical and horizontal.
        mask_update: `"keep"` any valid pixel in the output's own block of `strides` pixels, so the
            mask never grows · `"any"` any valid pixel under the kernel · `"all"` all of them.

    Returns:
        bool (N, H', W', 1).
    """
    if mask_update == "any":
        return count > 0
    if mask_update == "all":
        return count == float(kernel_size[0] * kernel_size[1])
    if padding == "same":
        return any_in_blocks(mask, strides)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation_rate, strict=True)]
    # Without padding the first output stands for the middle of its window.
    offset = [max(span - stride, 0) // 2 for span, stride in zip(spans, strides, strict=True)]
    blocks = any_in_blocks(mask, strides, (offset[0], offset[1]))
    size = tf.shape(count)
    return blocks[:, : size[1], : size[2]]


def upsample_nearest(values: Any, factor: int) -> Any:
    """Repeat every pixel `factor` times in both directions.

    Args:
        values: (N, H, W, C), any dtype.
        factor: a whole number ≥ 1.

    Returns:
        (N, H · factor, W · factor, C).
    """
    n, h, w = tf.unstack(tf.shape(values)[:3])
    channels = values.shape[-1]
    cells = tf.broadcast_to(values[:, :, None, :, None, :], [n, h, factor, w, factor, channels])
    return tf.reshape(cells, [n, h * factor, w * factor, channels])


def masked_moments(values: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Mean and variance of each channel over the valid pixels of a batch.

    Args:
        values: float (N, H, W, C); what stands under an invalid mask is never read.
        mask: bool (N, H, W, 1).

    Returns:
        mean float32 (C,), variance float32 (C,), number of valid pixels float32 (); all 0 where
        nothing is valid.
    """
    values = tf.cast(fill_invalid(values, mask), tf.float32)
    count = tf.reduce_sum(tf.cast(mask, tf.float32))
    at_least_one = tf.maximum(count, 1.0)
    mean = tf.reduce_sum(values, axis=[0, 1, 2]) / at_least_one
    deviation = fill_invalid(values - mean, mask)
    variance = tf.reduce_sum(tf.square(deviation), axis=[0, 1, 2]) / at_least_one
    return mean, variance, count
