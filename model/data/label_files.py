"""Labels of an image: a raster, or polygons on the image's grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from lacuna.errors import InvalidImageError, SceneError
from lacuna.geo.alignment import describe_misalignment
from lacuna.geo.features.files import FEATURE_SUFFIXES
from lacuna.geo.grid import Grid
from lacuna.geo.source import RasterSource, open_raster
from lacuna.windows.window import Window
from model.data.description import DatasetDescription
from model.data.label_rasters import LabelRaster, find_unknown, ignore_nodata
from model.data.listing import Entry
from model.data.polygons import PolygonLabels
from model.data.reading import read_labels

_TIFF_SUFFIXES = (".tif", ".tiff")


class Labels(Protocol):
    """Labels of an image, read by windows."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults of what was read so far."""

    def read(self, window: Window) -> NDArray[Any]:
        """Return the labels of a window, integer (H, W): class ids, or `IGNORE_LABEL`."""


def has_polygons(entry: Entry) -> bool:
    """Return whether the labels of an image are polygons."""
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
    if has_polygons(entry):
        return PolygonLabels(entry.labels, grid, description)
    labels = LabelRaster(entry.labels)
    check_size(labels.grid.size, grid.size, entry.image.name)
    _check_alignment(labels.grid, grid)
    return labels


def read_label_file(data: bytes, entry: Entry, description: DatasetDescription) -> NDArray[Any]:
    """Read all labels of an image.

    Args:
        data: of the file with the labels.
        entry: of the image.
        description: of the dataset.

    Returns:
        integer (H, W), class ids, or `IGNORE_LABEL`.

    Raises:
        LacunaError: if they cannot be read, or do not fit the image.
    """
    if has_polygons(entry):
        grid = open_raster(entry.image).grid
        labels = PolygonLabels(entry.labels, grid, description)
        burnt = labels.read(Window(0, 0, grid.height, grid.width))
        if labels.faults:
            raise SceneError("; ".join(labels.faults))
        return burnt
    found = read_labels(data)
    source = _open_tiff(entry.labels)
    if source is None:
        return found
    image = _open_tiff(entry.image)
    if image is not None:
        _check_alignment(source.grid, image.grid)
    return ignore_nodata(found, find_unknown(source.bands[0].nodata))


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
