"""Images with their labels, and what is learnt from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.description import DatasetDescription
from model.data.reading import TrainingImage
from model.labels import IGNORE_LABEL


class LabelledSample(NamedTuple):
    """An image with its missing pixels and its labels.

    Attributes:
        image: uint8, uint16 or float32 (H, W, C); 0 where missing.
        mask: bool (H, W), True = valid.
        labels: uint8 (H, W), class ids; `IGNORE_LABEL` where missing or unknown.
    """

    image: NDArray[Any]
    mask: NDArray[np.bool_]
    labels: NDArray[np.uint8]

    def move(self, change: Callable[[Any], Any]) -> LabelledSample:
        """Do the same to image, mask and labels, so that they stay aligned."""
        return LabelledSample(change(self.image), change(self.mask), change(self.labels))


def make_sample(
    image: TrainingImage, labels: NDArray[Any], description: DatasetDescription
) -> LabelledSample:
    """Bring an image to the channels and the dtype of its dataset.

    Args:
        image: of a checked folder.
        labels: integer (H, W), class ids, or `IGNORE_LABEL`.
        description: the dataset's.
    """
    channels = description.channels or image.values.shape[2]
    values = np.repeat(image.values, channels // image.values.shape[2], axis=2)
    values = values.astype(description.dtype or values.dtype, copy=False)
    mask = image.valid
    return LabelledSample(
        np.where(mask[..., None], values, values.dtype.type(0)),
        mask,
        np.where(mask, labels, IGNORE_LABEL).astype(np.uint8),
    )
