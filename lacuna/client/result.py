"""The result of segmenting an image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from lacuna.areas import Area, AreaTable
from lacuna.client.labelled import label
from lacuna.client.notebook import draw_labels, write_figure, write_png
from lacuna.client.overlay import draw_overlay
from lacuna.client.saving import write_atomically
from lacuna.client.sources import Image, read_picture
from lacuna.errors import LacunaError
from lacuna.outputs import find_by_suffix
from lacuna.planes import CONFIDENCE, PROBABILITIES, SUPPORT
from lacuna.sample import INVALID_LABEL
from lacuna.segmentation import ClassInfo, NamedSegmentation

__all__ = ["Area", "AreaTable", "ClassInfo", "Result"]

_LABELS = "labels"


@dataclass(frozen=True, eq=False, repr=False)
class Result(NamedSegmentation):
    """Segmentation from a server, with the attributes of `NamedSegmentation`.

    Attributes:
        image: the image that was segmented, for `overlay`.
    """

    image: Image | None = field(default=None, repr=False)

    def overlay(self, image: Image | None = None, opacity: float = 0.5) -> PIL.Image.Image:
        """Draw the labels over the image; invalid pixels are hatched.

        If the answer has a warning, the image is not stretched, so that one that the model was
        given nearly black looks nearly black.

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
        return draw_overlay(
            read_picture(source), self.labels, colors, opacity, stretch=not self.warnings
        )

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
        write_atomically(target, find_by_suffix(target.suffix).write(self))
        return target

    def to_xarray(self, name: str = _LABELS) -> Any:
        """Return the labels or a plane as an `xarray.DataArray`.

        If the image was a `DataArray`, it has the same names of rows and columns, and the
        coordinates along them. Labels have the attributes of CF for classes: `flag_values` and
        `flag_meanings`; `_FillValue` is the label of invalid pixels.

        Args:
            name: `labels`, `probabilities`, `confidence` or `support`.

        Raises:
            ValueError: if there is no such plane.
            ModuleNotFoundError: if xarray is not installed.
        """
        names = (_LABELS, PROBABILITIES, CONFIDENCE, SUPPORT)
        found = getattr(self, name) if name in names else None
        if found is None:
            raise ValueError(f"a plane must be one that the result holds; {name!r} is not")
        attrs: Mapping[str, Any] = {}
        if name == _LABELS:
            attrs = {
                "flag_values": np.array([entry.id for entry in self.classes], np.uint8),
                "flag_meanings": " ".join(entry.name.replace(" ", "_") for entry in self.classes),
                "_FillValue": INVALID_LABEL,
            }
        return label(found, self.image, name, attrs, [entry.name for entry in self.classes])

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled; a view of memory as bytes."""
        state = dict(vars(self))
        if isinstance(self.image, memoryview):
            state["image"] = bytes(self.image)
        return state

    def _repr_png_(self) -> bytes:
        """Return the overlay for a notebook; the labels alone if the image is not there."""
        try:
            picture = self.overlay()
        except (ValueError, OSError, LacunaError):
            picture = draw_labels(self)
        return write_png(picture)

    def _repr_html_(self) -> str:
        """Return the overlay with a legend, for a notebook."""
        return write_figure(self, self._repr_png_())
