"""Input and output of a model for one image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.georeference import GeoTiffTags

INVALID_LABEL = 255
"""Label of invalid pixels."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Image with a mask of its valid pixels.

    Attributes:
        image: uint8, uint16 or float32 (H, W, C), no side 0, in the units of the model. Values of
            invalid pixels are never read: the server replaces them with 0 before the model runs.
        mask: bool (H, W), True = valid.
        doubts: what may be wrong about how the image was read, for people, in ASCII.
        georeference: where the image lies, as its file says; None if it does not.

    Raises:
        ValueError: if the arrays do not have these shapes and dtypes, or are masked arrays, whose
            masks would be lost.
    """

    image: NDArray[Any]
    mask: NDArray[np.bool_]
    doubts: tuple[str, ...] = ()
    georeference: GeoTiffTags | None = None

    def __post_init__(self) -> None:
        if hasattr(self.image, "mask") or hasattr(self.mask, "mask"):
            raise ValueError("image and mask must be plain arrays; one is a masked array")
        if self.image.ndim != 3 or 0 in self.image.shape:
            raise ValueError(f"image must be (H, W, C), no side 0; it is {self.image.shape}")
        if self.image.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"image must be uint8, uint16 or float32; it is {self.image.dtype}")
        if self.mask.shape != self.image.shape[:2] or self.mask.dtype != np.bool_:
            raise ValueError(
                f"mask must be bool of shape {self.image.shape[:2]}; "
                f"it is {self.mask.dtype} {self.mask.shape}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.mask.shape
        return height, width

    @cached_property
    def valid_pixels(self) -> int:
        """Number of valid pixels."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Segmentation of one sample.

    Attributes:
        labels: uint8 (H, W): the class id of each valid pixel, `INVALID_LABEL` elsewhere.
        probabilities: float32 (H, W, K), 0 where invalid; None if they were not requested.
        confidence: float32 (H, W), the largest probability, 0 where invalid; None if it was not
            requested.
        support: float32 (H, W), see `lacuna.windows.support`, 0 where invalid; None if it was not
            requested.
        georeference: where the image lies, as its file says; None if it does not.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None = None
    confidence: NDArray[np.float32] | None = None
    support: NDArray[np.float32] | None = None
    georeference: GeoTiffTags | None = None
