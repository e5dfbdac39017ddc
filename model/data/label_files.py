"""Labels of an image: a raster, or polygons on the image's grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError, SceneError
from lacuna.geo.alignment import describe_misalignment
from lacuna.geo.features.files import FEATURE_SUFFIXES
from lacuna.geo.grid import Grid
from lacuna.geo.source import RasterSource, open_raster
from lacuna.windows.window import Window
from model.data.blocks import Blocks
from model.data.coco import CocoImage, draw_labels
from model.data.description import DatasetDescription
from model.data.label_rasters import LabelRaster, find_unknown
from model.data.label_tables import LabelTable
from model.data.listing import Entry
from model.data.polygons import PolygonLabels
from model.data.reading import read_colors, read_labels

_TIFF_SUFFIXES = (".tif", ".tiff")


class Labels(Protocol):
    """Labels of an image, read by windows."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults of what was read so far."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the labels of a window, uint8 (H, W): class ids, or `IGNORE_LABEL`."""


def has_polygons(entry: Entry) -> bool:
    """Return whether the labels of an image are polygons in a vector file."""
    return entry.labels.suffix.lower() in FEATURE_SUFFIXES


def open_labels(entry: Entry, grid: Grid, description: DatasetDescription) -> Labels:
    """Open the labels of an image.

    Args:
        entry: of the image.
        grid: of the image.
        description: of the dataset.

    Raises:
        LacunaError: if they cannot be read, or do not fit the image.
    """
    labels: PolygonLabels | LabelRaster
    if has_polygons(entry):
        labels = PolygonLabels(entry.labels, grid, description)
    else:
        labels = LabelRaster(entry.labels, description)
        check_size(labels.grid.size, grid.size, entry.image.name)
        _check_alignment(labels.grid, grid)
    return labels if entry.blocks is None else BlockLabels(labels, entry.blocks)


class BlockLabels:
    """Labels of some blocks of an image.

    Args:
        labels: of the whole image.
        blocks: others are unknown.
    """

    def __init__(self, labels: Labels, blocks: Blocks) -> None:
        self._labels, self._blocks = labels, blocks

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults of what was read so far."""
        return self._labels.faults

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the labels of a window, uint8 (H, W): class ids, or `IGNORE_LABEL`."""
        return self._blocks.hide(self._labels.read(window), window)


class FoundLabels(NamedTuple):
    """Labels of an image.

    Attributes:
        labels: uint8 (H, W), class ids, or `IGNORE_LABEL`.
        fault: what is wrong with them, besides; empty if nothing is.
    """

    labels: NDArray[np.uint8]
    fault: str = ""


def read_label_file(data: bytes, entry: Entry, description: DatasetDescription) -> FoundLabels:
    """Read all labels of an image.

    Args:
        data: of the file with the labels; not read for polygons.
        entry: of the image.
        description: of the dataset.

    Raises:
        LacunaError: if they cannot be read, or do not fit the image.
    """
    found = _read_whole(data, entry, description)
    return found._replace(labels=_hide_blocks(found.labels, entry.blocks))


def draw_annotations(
    annotations: CocoImage,
    size: tuple[int, int],
    description: DatasetDescription,
    blocks: Blocks | None,
) -> NDArray[np.uint8]:
    """Draw the annotations of an image; see `draw_labels`.

    Args:
        annotations: of the image.
        size: height and width of the upright image in pixels.
        description: of the dataset.
        blocks: others are unknown; None for the whole image.
    """
    return _hide_blocks(draw_labels(annotations, size, description), blocks)


def _read_whole(data: bytes, entry: Entry, description: DatasetDescription) -> FoundLabels:
    if has_polygons(entry):
        grid = open_raster(entry.image).grid
        labels = PolygonLabels(entry.labels, grid, description)
        burnt = labels.read(Window(0, 0, grid.height, grid.width))
        if labels.faults:
            raise SceneError("; ".join(labels.faults))
        return FoundLabels(burnt)
    stored, nodata = _read_stored(data, description), None
    source = _open_tiff(entry.labels)
    if source is not None:
        image = _open_tiff(entry.image)
        if image is not None:
            _check_alignment(source.grid, image.grid)
        nodata = find_unknown(source.bands[0].nodata)
    table = LabelTable(description, nodata)
    found = table.look_up(stored)
    return FoundLabels(found, table.describe_unknown())


def check_size(found: tuple[int, ...], size: tuple[int, ...], image: str) -> None:
    """Hold labels or a mask to the size of their image.

    Args:
        found: height and width of the labels or the mask.
        size: of the image.
        image: name for the message.

    Raises:
        InvalidImageError: if they differ.
    """
    if found != size:
        is_turned = found == size[::-1]
        raise InvalidImageError(
            f"must have the image's height and width; {image} is {_times(size)}, this is "
            + _times(found)
            + "; the sides are swapped, as by an EXIF orientation of only one of them" * is_turned
        )


def _hide_blocks(labels: NDArray[np.uint8], blocks: Blocks | None) -> NDArray[np.uint8]:
    return labels if blocks is None else blocks.hide(labels, Window(0, 0, *labels.shape))


def _read_stored(data: bytes, description: DatasetDescription) -> NDArray[Any]:
    if description.labels == "colors":
        return read_colors(data)
    try:
        return read_labels(data)
    except InvalidImageError as error:
        if "one channel" in error.message:
            raise InvalidImageError(f'{error.message}; colours need labels = "colors"') from None
        raise


def _times(size: tuple[int, ...]) -> str:
    return "×".join(str(side) for side in size)


def _check_alignment(grid: Grid, image: Grid) -> None:
    difference = describe_misalignment(grid, image)
    if difference:
        raise InvalidImageError(f"labels must be on the grid of their image; {difference}")


def _open_tiff(path: Path) -> RasterSource | None:
    """Open a TIFF; None if GDAL does not, whereas the decoder of requests may."""
    if path.suffix.lower() not in _TIFF_SUFFIXES:
        return None
    try:
        return open_raster(path, alpha="no")
    except InvalidImageError:
        return None
