"""Contents of rasters of results: labels, and floating-point numbers from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import SceneError
from lacuna.sample import INVALID_LABEL
from lacuna.segmentation import ClassInfo

_BLOCKS = (512, 256, 128)
_TILE_BYTES = 8 << 20


@dataclass(frozen=True)
class Layer:
    """Contents of a raster.

    Attributes:
        dtype: of the numbers.
        nodata: value of invalid pixels.
        band_names: description of each band.
        classes: classes that the numbers stand for, with the ids 0, 1, …; empty if the numbers are
            no labels.
        resampling: method by which overviews are made, in GDAL's words.
        predictor: predictor of the compression, as the TIFF tag has it.
        level: level of the compression.
    """

    dtype: Literal["uint8", "float32"]
    nodata: float
    band_names: tuple[str, ...]
    classes: tuple[ClassInfo, ...] = ()
    resampling: Literal["nearest", "average"] = "average"
    predictor: Literal[1, 2, 3] = 3
    # docs/decisions/0020-rasters-of-results.md has the sizes and times of levels and predictors.
    level: int = 3

    @property
    def block(self) -> int:
        """Side of a tile in pixels. A tile holds all bands, and GDAL holds several tiles."""
        pixel_bytes = len(self.band_names) * np.dtype(self.dtype).itemsize
        return next(
            (side for side in _BLOCKS if side * side * pixel_bytes <= _TILE_BYTES), _BLOCKS[-1]
        )

    def check(self, planes: NDArray[Any]) -> None:
        """Check that planes are such as this layer holds.

        Args:
            planes: (B, H, W).

        Raises:
            ValueError: if there are more or fewer bands, or the numbers have another dtype.
            SceneError: if a label is not the id of a class.
        """
        if planes.dtype != self.dtype or len(planes) != len(self.band_names):
            raise ValueError(
                f"planes must be {self.dtype} ({len(self.band_names)}, H, W); they are "
                f"{planes.dtype} {planes.shape}"
            )
        if self.classes:
            # 255, the no-data value, becomes 0 here.
            last = int((planes + np.uint8(1)).max(initial=0)) - 1
            if last >= len(self.classes):
                raise SceneError(
                    f"labels must be those of the model's classes, 0 to {len(self.classes) - 1}, "
                    f"or {INVALID_LABEL}; one is {last}"
                )


def labels_layer(classes: Sequence[ClassInfo]) -> Layer:
    """Return the layer of labels: uint8, 255 = invalid, with colours and names of the classes."""
    return Layer(
        "uint8", INVALID_LABEL, ("labels",), tuple(classes), "nearest", predictor=1, level=6
    )


def confidence_layer() -> Layer:
    """Return the layer of the winning probability: float32, NaN = invalid."""
    return Layer("float32", math.nan, ("confidence",))


def support_layer() -> Layer:
    """Return the layer of the valid part of what a label draws on: float32, NaN = invalid."""
    # These numbers have few values, and a difference of neighbours has fewer.
    return Layer("float32", math.nan, ("support",), predictor=2)


def probabilities_layer(classes: Sequence[ClassInfo]) -> Layer:
    """Return the layer of probabilities: float32, a band for each class, NaN = invalid."""
    return Layer("float32", math.nan, tuple(entry.name for entry in classes))


def describe_model(name: str, version: str, checksum: str = "") -> dict[str, str]:
    """Return the metadata that say which model a raster comes from; what is empty is left out."""
    tags = {
        "LACUNA_MODEL": name,
        "LACUNA_MODEL_VERSION": version,
        "LACUNA_MODEL_CHECKSUM": checksum,
    }
    return {key: text for key, text in tags.items() if text}
