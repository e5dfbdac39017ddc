"""The result of segmenting an image."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lacuna.client.overlay import draw_overlay
from lacuna.client.saving import SUFFIXES, write_atomically
from lacuna.client.sources import Image, read_picture
from lacuna.raster import rle
from lacuna.raster.npy import labels_npy, labels_npz
from lacuna.raster.palette import labels_png
from lacuna.sample import INVALID_LABEL


class ClassInfo(NamedTuple):
    """A class of a model.

    Attributes:
        id: its label.
        name: to be shown.
        color: `#rrggbb`.
    """

    id: int
    name: str
    color: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color.removeprefix("#"))
        return red, green, blue


class Area(NamedTuple):
    """Area of a class in an image.

    Attributes:
        pixels: number of its pixels.
        fraction: of the valid pixels.
    """

    pixels: int
    fraction: float


@dataclass(frozen=True, eq=False)
class Result:
    """A segmentation.

    Attributes:
        labels: uint8 (H, W), class ids; 255 where invalid.
        classes: of the model, class 0 first.
        model: name of the model.
        version: of the model; empty if the server does not say.
        probabilities: float32 (H, W, K), 0 where invalid; None unless requested.
        timings_ms: the server's time in each stage, by name, if the server says.
        image: the segmented image, for `overlay`.
    """

    labels: NDArray[np.uint8]
    classes: tuple[ClassInfo, ...]
    model: str = ""
    version: str = ""
    probabilities: NDArray[np.float32] | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    image: Image | None = field(default=None, repr=False)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Bool (H, W), True = valid."""
        return np.not_equal(self.labels, INVALID_LABEL)

    @cached_property
    def valid_pixels(self) -> int:
        """Number of valid pixels."""
        return int(self.labels.size - self._counts[INVALID_LABEL])

    @property
    def valid_fraction(self) -> float:
        """Fraction of the pixels that is valid."""
        return self.valid_pixels / max(self.labels.size, 1)

    @cached_property
    def areas(self) -> dict[str, Area]:
        """Area of each class, by its name."""
        counts = {entry.name: int(self._counts[entry.id]) for entry in self.classes}
        whole = max(self.valid_pixels, 1)
        return {name: Area(pixels, pixels / whole) for name, pixels in counts.items()}

    def overlay(self, image: Image | None = None, opacity: float = 0.5) -> PIL.Image.Image:
        """Draw the labels over the image; invalid pixels are hatched.

        Args:
            image: to draw on; the segmented one by default.
            opacity: of the labels, from 0 to 1.

        Raises:
            ValueError: if there is no image, or one of another size.
        """
        source = self.image if image is None else image
        if source is None:
            raise ValueError("an overlay must have an image; none was given or kept")
        colors = {entry.id: entry.rgb for entry in self.classes}
        return draw_overlay(read_picture(source), self.labels, colors, opacity)

    def to_json(self) -> dict[str, Any]:
        """Return the content of the server's JSON answer: sizes, areas, run lengths, timings."""
        height, width = self.labels.shape
        return {
            "model": {"name": self.model, "version": self.version},
            "size": {"height": height, "width": width},
            "valid": {"pixels": self.valid_pixels, "fraction": self.valid_fraction},
            "classes": [
                {
                    **entry._asdict(),
                    **self.areas[entry.name]._asdict(),
                    "segmentation": rle.encode(self.labels == entry.id),
                }
                for entry in self.classes
            ],
            "timings_ms": dict(self.timings_ms),
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the result to a file, whole or not at all.

        Args:
            path: ending in `.png` (palette, invalid transparent), `.npy` (labels), `.npz` (labels
                and probabilities) or `.json` (areas and run lengths).

        Returns:
            The path.

        Raises:
            ValueError: if it has another suffix, or there are no probabilities for `.npz`.
            OSError: if it cannot be written.
        """
        target = Path(path)
        write_atomically(target, self._render(target.suffix.lower()))
        return target

    def _render(self, suffix: str) -> bytes:
        if suffix == ".png":
            black = (0, 0, 0)
            colors = {entry.id: entry.rgb for entry in self.classes}
            ids = range(max(colors, default=-1) + 1)
            return labels_png(self.labels, [colors.get(number, black) for number in ids])
        if suffix == ".npy":
            return labels_npy(self.labels)
        if suffix == ".json":
            return json.dumps(self.to_json()).encode()
        if suffix != ".npz":
            raise ValueError(f"a result must be saved as {', '.join(SUFFIXES)}; it is {suffix!r}")
        if self.probabilities is None:
            raise ValueError(".npz holds probabilities; ask with probabilities=True")
        return labels_npz(self.labels, self.probabilities)

    @cached_property
    def _counts(self) -> NDArray[np.intp]:
        return np.bincount(self.labels.ravel(), minlength=256)
