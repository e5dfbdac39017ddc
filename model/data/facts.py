"""Facts about the images of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.statistics import ImageStatistics, measure_image, pool
from model.data.overview import Overview
from model.data.reading import TrainingImage
from model.data.scenes import Scene
from model.labels import IGNORE_LABEL

TURN_PIXELS = 1 << 24
"""Labelled pixels of a scene that count as much as another image."""


@dataclass(frozen=True)
class Facts:
    """Facts about one image, from its files.

    Attributes:
        digest: of its files, or of what is in them.
        dtype: of its values.
        size: height and width in pixels.
        channels: number of channels.
        valid: number of valid pixels.
        total: sum of the valid values.
        squares: sum of their squares.
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
    total: float
    squares: float
    statistics: ImageStatistics
    class_pixels: tuple[int, ...]
    band_names: tuple[str, ...]
    doubts: tuple[str, ...]
    overview: Overview | None = None

    @property
    def turns(self) -> int:
        """Number of crops for each one of another image, in training."""
        return max(1, round(self.overview.pixels / TURN_PIXELS)) if self.overview else 1


def measure(
    image: TrainingImage, labels: NDArray[Any], digest: str = "", *, part_of_scene: bool = False
) -> Facts:
    """Measure an image, or a window of a scene, with at least one valid pixel.

    Args:
        image: the image.
        labels: integer (H, W).
        digest: of its files.
        part_of_scene: whether fewer values are sampled, so that a scene with `TURN_PIXELS` valid
            pixels counts as much as an image.
    """
    values, valid = image.values, image.valid
    inside = values[valid].astype(np.float64)
    known = labels[valid & (labels != IGNORE_LABEL)].astype(np.int64)
    share = len(inside) / TURN_PIXELS if part_of_scene else 1.0
    return Facts(
        digest,
        str(values.dtype),
        (values.shape[0], values.shape[1]),
        values.shape[2],
        len(inside),
        float(inside.sum()),
        float(np.square(inside).sum()),
        measure_image(values, valid, share),
        tuple(np.bincount(known, minlength=256).tolist()),
        image.band_names,
        image.doubts,
    )


def merge_facts(parts: Sequence[Facts], scene: Scene, digest: str, overview: Overview) -> Facts:
    """Return the facts about a scene, from those about its windows, at least one."""
    return replace(
        parts[0],
        digest=digest,
        size=scene.size,
        valid=sum(part.valid for part in parts),
        total=sum(part.total for part in parts),
        squares=sum(part.squares for part in parts),
        statistics=pool([part.statistics for part in parts]),
        class_pixels=tuple(np.sum([part.class_pixels for part in parts], axis=0).tolist()),
        doubts=scene.image.notes,
        overview=overview,
    )
