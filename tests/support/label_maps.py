"""Label maps, and their regions by GDAL."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from hypothesis import strategies as st
from numpy.typing import NDArray

from lacuna.segmentation import ClassInfo

INVALID = 255

CLASSES = tuple(ClassInfo(number, f"class {number}", "#102030") for number in range(4))


class LabelMap(NamedTuple):
    """A label map, and the arguments of `make_labels` that make it."""

    labels: NDArray[np.uint8]
    recipe: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"make_labels{self.recipe}"


def make_labels(
    height: int, width: int, seed: int, grain: int = 1, classes: int = 2, invalid: float = 0.1
) -> NDArray[np.uint8]:
    """Make a label map, uint8 (H, W), of random squares of `grain` pixels."""
    rng = np.random.default_rng(seed)
    size = (-(-height // grain), -(-width // grain))
    coarse = rng.integers(0, classes, size).astype(np.uint8)
    coarse[rng.random(size) < invalid] = INVALID
    return coarse.repeat(grain, axis=0).repeat(grain, axis=1)[:height, :width]


@st.composite
def label_maps(draw: st.DrawFn, largest: int = 24) -> LabelMap:
    """Draw label maps of up to 24 × 24 pixels."""
    sides = st.integers(1, largest)
    recipe = (
        draw(sides),
        draw(sides),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        draw(st.sampled_from([0.0, 0.1, 0.5])),
    )
    return LabelMap(make_labels(*recipe), recipe)


def polygonize(
    labels: NDArray[np.uint8], transform: Affine | None = None
) -> list[tuple[int, shapely.Polygon]]:
    """Return the label and polygon of each region, as GDAL finds them."""
    shapes = rasterio.features.shapes(
        labels, mask=labels != INVALID, transform=transform or Affine.identity()
    )
    return [(int(label), shapely.geometry.shape(shape)) for shape, label in shapes]
