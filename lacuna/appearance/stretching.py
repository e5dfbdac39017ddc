"""Stretch of an image's values to the range of the training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lacuna.appearance.outliers import PERCENTILES
from lacuna.appearance.sampling import sample_values
from lacuna.appearance.statistics import ChannelStatistics
from lacuna.sample import Sample

_SAMPLED_PIXELS = 1 << 16


def stretch_sample(sample: Sample, statistics: Sequence[ChannelStatistics]) -> Sample:
    """Stretch each channel of an image to the range of the training data.

    The 2nd and the 98th percentile of the valid values become `low` and `high` of the statistics,
    and all others follow linearly, but stay between `minimum` and `maximum`. A channel whose two
    percentiles are equal is shifted to `mean`. The percentiles are those of up to 65,536 valid
    pixels on a grid.

    Args:
        sample: Image of the model's number of channels.
        statistics: Statistics of each channel of the training data.

    Returns:
        A float32 image with the same mask and georeference; 0 where invalid.
    """
    values = sample_values(sample.image, sample.mask, _SAMPLED_PIXELS, sample.valid_pixels)
    image = np.zeros(sample.image.shape, np.float32)
    if not len(values):
        return replace(sample, image=image)
    lows, highs = np.percentile(values.astype(np.float64), PERCENTILES, axis=0)
    for channel, (learnt, low, high) in enumerate(zip(statistics, lows, highs, strict=True)):
        gain, start = (learnt.high - learnt.low) / (high - low or 1), learnt.low
        if low == high:
            gain, start = 1.0, learnt.mean
        shown = np.where(sample.mask, sample.image[:, :, channel], low).astype(np.float64)
        shown -= low
        shown *= gain
        shown += start
        np.clip(shown, learnt.minimum, learnt.maximum, out=shown)
        image[:, :, channel] = np.where(sample.mask, shown, 0)
    return replace(sample, image=image)
