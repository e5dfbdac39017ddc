"""Facts about the images of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.statistics import TILE_SIDE, ImageStatistics, measure_image, pool
from lacuna.windows.window import Window
from model.data.overview import Overview
from model.data.reading import TrainingImage
from model.labels import IGNORE_LABEL

TURN_PIXELS = 1 << 24
"""Labelled pixels of a scene that count as much as another image."""

_PART_VALUES = 1 << 22
"""Most values that are measured together."""


@dataclass(frozen=True)
class Facts:
    """Facts about one image, from its files.

    Attributes:
        digest: of its files, or of what is in them.
        dtype: of its values.
        size: height and width in pixels.
        channels: number of channels.
        valid: number of valid pixels.
        statistics: of the valid values.
        class_pixels: number of valid pixels of each label.
        band_names: of the channels; empty if the file does not name all of them.
        doubts: what may be wrong about how the file was read.
        overview: of a scene; None for an image that is read whole.
    """

    digest: str
    dtype: str
    size: tuple[int, int]
    channels: int
    valid: int
    statistics: ImageStatistics
    class_pixels: tuple[int, ...]
    band_names: tuple[str, ...]
    doubts: tuple[str, ...]
    overview: Overview | None = None

    @property
    def turns(self) -> int:
        """Number of crops for each one of another image, in training."""
        return max(1, round(self.overview.pixels / TURN_PIXELS)) if self.overview else 1


def measure(image: TrainingImage, labels: NDArray[Any], digest: str) -> Facts:
    """Measure an image that is read whole.

    Args:
        image: with at least one valid pixel.
        labels: integer (H, W).
        digest: of its files.
    """
    values, valid = image.values, image.valid
    statistics = _measure_rows(values, valid)
    return Facts(
        digest,
        str(values.dtype),
        (values.shape[0], values.shape[1]),
        values.shape[2],
        statistics.pixels,
        statistics,
        tuple(count_labels(image, labels).tolist()),
        image.band_names,
        image.doubts,
    )


def _measure_rows(values: NDArray[Any], valid: NDArray[np.bool_]) -> ImageStatistics:
    """Measure an image in parts of whole rows, since each value takes 24 bytes meanwhile."""
    rows = max(_PART_VALUES // (values.shape[1] * values.shape[2]), TILE_SIDE)
    if len(values) <= rows:
        return measure_image(values, valid)
    parts = [np.s_[top : top + rows] for top in range(0, len(values), rows)]
    pixels = np.count_nonzero(valid)
    return pool(
        [
            measure_image(values[part], valid[part], np.count_nonzero(valid[part]) / pixels)
            for part in parts
            if valid[part].any()
        ]
    )


def count_labels(image: TrainingImage, labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of valid pixels of each class, int64 (256,)."""
    known = labels[image.valid & (labels >= 0) & (labels < IGNORE_LABEL)]
    return np.bincount(known.astype(np.uint8), minlength=256)


class SceneMeasurement:
    """Measurement of a scene, window by window.

    Args:
        size: height and width of the scene in pixels.

    Attributes:
        overview: where its labels are.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.overview = Overview(size)
        self._parts: list[ImageStatistics] = []
        self._class_pixels = np.zeros(256, np.int64)
        self._example: TrainingImage | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no window had a valid pixel."""
        return self._example is None

    def add(self, window: Window, image: TrainingImage, labels: NDArray[Any]) -> None:
        """Measure a window, once.

        Args:
            window: inside the scene.
            image: in the window.
            labels: integer (H, W), in the window.
        """
        pixels = int(np.count_nonzero(image.valid))
        if not pixels:
            return
        self.overview.add(window, image.valid & (labels != IGNORE_LABEL))
        self._class_pixels += count_labels(image, labels)
        # A scene with TURN_PIXELS valid pixels counts as much as another image.
        share = pixels / TURN_PIXELS
        self._parts.append(measure_image(image.values, image.valid, share))
        self._example = image

    def finish(self, digest: str, doubts: tuple[str, ...]) -> Facts | None:
        """Return the facts about the scene; None if no valid pixel has a label.

        Args:
            digest: of the scene.
            doubts: what may be wrong about how it is read.
        """
        if self._example is None or not self.overview.pixels:
            return None
        statistics, values = pool(self._parts), self._example.values
        return Facts(
            digest,
            str(values.dtype),
            self.overview.size,
            values.shape[2],
            statistics.pixels,
            statistics,
            tuple(self._class_pixels.tolist()),
            self._example.band_names,
            doubts,
            self.overview,
        )
