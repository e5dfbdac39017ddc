"""Masked convolution and counts of valid pixels as stateless TensorFlow functions.

Masks are bool (N, H, W, 1), True = valid.
"""

from model.ops.convolution import convolve, convolve_depthwise, convolve_transpose, pad_same
from model.ops.coverage import (
    count_taps,
    count_valid,
    count_valid_transpose,
    coverage_scale,
    transpose_area,
)
from model.ops.masks import any_in_blocks, fill_invalid, find_nodata, keep_mask, pad_to_multiple
from model.ops.modes import (
    MASK_UPDATES,
    NORMALIZATIONS,
    PADDINGS,
    MaskUpdate,
    Normalization,
    Padding,
)
from model.ops.moments import group_moments, masked_moments
from model.ops.pooling import masked_average_pool, masked_max, masked_max_pool, masked_mean
from model.ops.reflection import find_reflections, take_positions
from model.ops.upsampling import upsample_linear, upsample_nearest

__all__ = [
    "MASK_UPDATES",
    "NORMALIZATIONS",
    "PADDINGS",
    "MaskUpdate",
    "Normalization",
    "Padding",
    "any_in_blocks",
    "convolve",
    "convolve_depthwise",
    "convolve_transpose",
    "count_taps",
    "count_valid",
    "count_valid_transpose",
    "coverage_scale",
    "fill_invalid",
    "find_nodata",
    "find_reflections",
    "group_moments",
    "keep_mask",
    "masked_average_pool",
    "masked_max",
    "masked_max_pool",
    "masked_mean",
    "masked_moments",
    "pad_same",
    "pad_to_multiple",
    "take_positions",
    "transpose_area",
    "upsample_linear",
    "upsample_nearest",
]
