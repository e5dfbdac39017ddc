"""Scenes: images larger than memory, which are read with their labels by windows."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from lacuna.errors import LacunaError
from lacuna.geo.features.files import FEATURE_SUFFIXES
from lacuna.geo.source import RasterSource, open_raster
from lacuna.raster.masks import read_mask
from lacuna.windows.window import Window
from model.data.description import DatasetDescription
from model.data.label_files import Labels, open_labels
from model.data.labelled import LabelledSample, make_sample
from model.data.listing import VRT_SUFFIX, Entry
from model.data.reading import TrainingImage, convert_raster

SCENE_BYTES = 64 << 20
"""Size of the largest decoded image that is read whole."""

_WINDOW_VALUES = 1 << 21
"""Most values of a window that is measured, unless a block of the file is larger. Measuring takes
about 24 bytes for each."""

_WINDOWED = frozenset({".tif", ".tiff", ".jp2", ".j2k", VRT_SUFFIX, *FEATURE_SUFFIXES})
"""Suffixes of the files of which windows are read."""


@dataclass(frozen=True)
class Scene:
    """An image with its labels, of any size. Several threads may use it, one after the other.

    Attributes:
        image: the image.
        mask: where it is valid, besides; None if there is no file for that.
        labels: on the grid of the image.
        description: of the dataset.
    """

    image: RasterSource
    mask: RasterSource | None
    labels: Labels
    description: DatasetDescription
    _lock: Lock = field(default_factory=Lock)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.grid.size

    def read(self, window: Window) -> LabelledSample:
        """Read a window as it is trained on.

        Args:
            window: inside the scene.

        Raises:
            LacunaError: if a file is damaged or cannot be read.
        """
        return make_sample(self.read_image(window), self.read_labels(window), self.description)

    def read_image(self, window: Window) -> TrainingImage:
        """Read the image of a window, as its file holds it; see `read`."""
        with self._lock:
            image = convert_raster(self.image.read(window), self.description.nodata)
            if self.mask is not None:
                image = image._replace(valid=image.valid & read_mask(self.mask.read(window)))
            return image

    def read_labels(self, window: Window) -> NDArray[Any]:
        """Read the labels of a window, integer (H, W); see `read`."""
        with self._lock:
            return self.labels.read(window)

    def may_hold_data(self, window: Window) -> bool:
        """Return whether a window may hold valid pixels; see `RasterSource.may_hold_data`."""
        with self._lock:
            return self.image.may_hold_data(window, self.description.nodata)

    def plan_windows(self) -> list[Window]:
        """Part the scene into windows of whole blocks, so that each block is decoded once."""
        height, width = self.size
        block_height, block_width = self.image.block_shape
        room = max(_WINDOW_VALUES // len(self.image.chosen), 1)
        if block_height * width <= room:
            rows, columns = room // (block_height * width) * block_height, width
        else:
            rows = block_height
            columns = max(room // (block_height * block_width), 1) * block_width
        return [
            Window(top, left, min(rows, height - top), min(columns, width - left))
            for top in range(0, height, rows)
            for left in range(0, width, columns)
        ]


def open_scene(entry: Entry, description: DatasetDescription) -> Scene:
    """Open a scene of a checked folder.

    Raises:
        LacunaError: if a file cannot be read.
    """
    image = open_image(entry, description)
    mask = None if entry.mask is None else open_raster(entry.mask)
    return Scene(image, mask, open_labels(entry, image.grid, description), description)


def open_image(entry: Entry, description: DatasetDescription) -> RasterSource:
    """Open the image of a scene with the bands that its dataset names.

    Raises:
        LacunaError: if it cannot be read, has no such bands, or has two masks.
    """
    with ExitStack() as stack:
        image = stack.enter_context(_open_bands(entry, description))
        if entry.mask is not None:
            image.forbid_sidecar()
        stack.pop_all()
        return image


def _open_bands(entry: Entry, description: DatasetDescription) -> RasterSource:
    return open_raster(entry.image, bands=description.bands, alpha=description.alpha)


def is_scene(entry: Entry, description: DatasetDescription, scene_bytes: int) -> bool:
    """Return whether an image is read by windows.

    Args:
        entry: its files.
        description: of the dataset.
        scene_bytes: size of the largest decoded image that is read whole.

    Returns:
        True if it is larger, and GDAL reads windows of all its files; or if one is a virtual
        raster, which nothing else reads.
    """
    paths = [path for path in (entry.image, entry.labels, entry.mask) if path is not None]
    suffixes = {path.suffix.lower() for path in paths}
    if VRT_SUFFIX in suffixes:
        return True
    if not suffixes <= _WINDOWED:
        return False
    try:
        with _open_bands(entry, description) as image:
            return image.grid.height * image.grid.width * image.pixel_bytes > scene_bytes
    except LacunaError:
        return False  # the reader of whole files says what is wrong
