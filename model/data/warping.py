"""Rotation by any angle and change of scale, with validity and labels carried along."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from model.data.labelled import LabelledSample
from model.labels import IGNORE_LABEL

_LEAST_WEIGHT = 0.1
"""Least part of an interpolated value that comes from valid pixels."""


class Warp(NamedTuple):
    """Rotation about the middle, and change of scale.

    Attributes:
        angle: in radians, anticlockwise.
        zoom: size of things afterwards, as a multiple of that before.
    """

    angle: float
    zoom: float

    def find_source(self, side: int) -> int:
        """Return the side of the square in the image that fills a square of this side."""
        turned = abs(math.cos(self.angle)) + abs(math.sin(self.angle))
        return math.ceil(side * turned / self.zoom)


def warp_sample(sample: LabelledSample, warp: Warp, side: int) -> LabelledSample:
    """Rotate and scale a sample.

    Values are interpolated linearly between valid pixels alone; validity and labels are those of
    the nearest pixel. What comes from outside of the sample is missing.

    Args:
        sample: not changed.
        warp: what to do.
        side: of the largest result in pixels, which shows the middle of the sample.

    Returns:
        A sample of the same dtype.
    """
    size = np.array(sample.mask.shape)
    shape = tuple(np.minimum(side, np.maximum(np.rint(size * warp.zoom), 1)).astype(int).tolist())
    cosine, sine = math.cos(warp.angle), math.sin(warp.angle)
    matrix = np.array([[cosine, sine], [-sine, cosine]]) / warp.zoom
    offset = (size - 1) / 2 - matrix @ ((np.array(shape) - 1) / 2)

    def move(part: NDArray[Any], order: int, outside: float = 0) -> NDArray[Any]:
        return np.asarray(
            affine_transform(
                part, matrix, offset, shape, order=order, cval=outside, prefilter=False
            )
        )

    values = sample.image.astype(np.float32)
    weight = move(sample.mask.astype(np.float32), 1)
    mask = move(sample.mask.astype(np.uint8), 0).astype(np.bool_) & (weight > _LEAST_WEIGHT)
    channels = [move(values[..., index], 1) for index in range(values.shape[2])]
    image = np.where(
        mask[..., None], np.dstack(channels) / np.maximum(weight, _LEAST_WEIGHT)[..., None], 0
    )
    if sample.image.dtype.kind in "iu":
        image = np.rint(image).clip(0, np.iinfo(sample.image.dtype).max)
    labels = move(sample.labels, 0, IGNORE_LABEL)
    return LabelledSample(
        image.astype(sample.image.dtype), mask, np.where(mask, labels, np.uint8(IGNORE_LABEL))
    )
