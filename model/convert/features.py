"""Feature maps of a network under conversion, and the masks that they share."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import keras

from model.convert.geometry import Grid, Window
from model.layers import FillInvalid, MaskMaxPooling2D
from model.layers.windows import WindowCoverage


class ConversionError(ValueError):
    """A network cannot be converted; the message names every layer that cannot, with its reason."""


class Unsupported(Exception):  # noqa: N818 (the reason why a layer is refused, not an error)
    """Reason why a layer cannot be converted."""


@dataclass(frozen=True)
class Features:
    """Features of a converted network.

    Attributes:
        x: (N, H / stride, W / stride, C) of a map, (N, 1, 1, C) of what is one value for an image.
        grid: of the map; None for what is one value for an image.
        is_clean: whether invalid pixels are 0.
        is_positive: whether no value is below 0.
    """

    x: Any
    grid: Grid | None
    is_clean: bool = False
    is_positive: bool = False

    def replace(self, **changes: Any) -> Features:
        """Return the same with other fields."""
        return dataclasses.replace(self, **changes)


OWN_NAMES = ("image", "mask", "pad_canvas", "fill_image", "upsample_scores", "crop_canvas")
"""Names of layers that every converted network may have, whatever those of the original are."""

UNKNOWN = object()
"""Features after a layer that cannot be converted."""


class Masks:
    """Masks of each stride, and coverages of windows: each computed once.

    Args:
        mask: bool (N, H, W, 1), of the padded canvas.
    """

    def __init__(self, mask: Any) -> None:
        self._masks = {1: mask}
        self._coverages: dict[tuple[int, Window], Any] = {}
        self._cleaned: dict[int, tuple[Any, Any]] = {}

    @property
    def total_stride(self) -> int:
        """Least number whose multiples hold whole cells of every map."""
        return math.lcm(*self._masks)

    def at(self, stride: int) -> Any:
        """Return the mask of cells of this side: valid where any of their pixels is."""
        if stride not in self._masks:
            layer = MaskMaxPooling2D(stride, name=f"canvas_mask_{stride}")
            self._masks[stride] = layer(self._masks[1])
        return self._masks[stride]

    def cover(self, stride: int, window: Window) -> Any:
        """Return the coverage of windows on a map of this stride."""
        key = stride, window
        if key not in self._coverages:
            layer = WindowCoverage(
                window.kernel_size,
                window.stride,
                window.before,
                window.dilation,
                name=f"canvas_coverage_{stride}_{len(self._coverages)}",
            )
            masks = [self.at(stride), self.at(stride * window.stride)]
            self._coverages[key] = layer(masks)
        return self._coverages[key]

    def clean(self, features: Features) -> Features:
        """Set invalid pixels to 0."""
        if features.is_clean or features.grid is None:
            return features
        if id(features.x) not in self._cleaned:
            x = FillInvalid()([features.x, self.at(features.grid.stride)])
            self._cleaned[id(features.x)] = features.x, x
        return features.replace(x=self._cleaned[id(features.x)][1], is_clean=True)

    def spread(self, features: Features, grid: Grid) -> Features:
        """Repeat one value for an image at each valid pixel of a map."""
        ones = self.cover(grid.stride, Window((1, 1), 1, (0, 0)))
        x = keras.layers.Multiply()([ones, features.x])
        return features.replace(x=x, grid=grid, is_clean=True)
