"""The result of segmenting an image."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import PIL.Image

from lacuna.client.overlay import draw_overlay
from lacuna.client.saving import write_atomically
from lacuna.client.sources import Image, read_picture
from lacuna.outputs import find_by_suffix
from lacuna.segmentation import Area, ClassInfo, NamedSegmentation

__all__ = ["Area", "ClassInfo", "Result"]


@dataclass(frozen=True, eq=False)
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
