"""What rasters of results hold: labels, and floating-point numbers from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lacuna.sample import INVALID_LABEL
from lacuna.segmentation import ClassInfo


@dataclass(frozen=True)
class Layer:
    """Contents of a raster.

    Attributes:
        dtype: of the numbers.
        nodata: value of invalid pixels.
        band_names: description of each band.
        classes: classes that the numbers stand for; empty if they are no labels.
        resampling: method by which overviews are made, in GDAL's words.
        predictor: predictor of the compression, as the TIFF tag has it.
    """

    dtype: Literal["uint8", "float32"]
    nodata: float
    band_names: tuple[str, ...]
    classes: tuple[ClassInfo, ...] = ()
    resampling: Literal["nearest", "average"] = "average"
    predictor: Literal[1, 2, 3] = 3


def labels_layer(classes: Sequence[ClassInfo]) -> Layer:
    """Return the layer of labels: uint8, 255 = invalid, with colours and names of the classes."""
    return Layer("uint8", INVALID_LABEL, ("labels",), tuple(classes), "nearest", 1)


def confidence_layer() -> Layer:
    """Return the layer of the winning probability: float32, NaN = invalid."""
    return Layer("float32", math.nan, ("confidence",))


def support_layer() -> Layer:
    """Return the layer of the valid part of what a label draws on: float32, NaN = invalid."""
    return Layer("float32", math.nan, ("support",))


def probabilities_layer(classes: Sequence[ClassInfo]) -> Layer:
    """Return the layer of probabilities: float32, a band for each class, NaN = invalid."""
    return Layer("float32", math.nan, tuple(entry.name for entry in classes))
