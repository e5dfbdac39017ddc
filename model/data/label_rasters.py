"""Label rasters that are read by windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError
from lacuna.geo.grid import Grid
from lacuna.geo.source import open_raster
from lacuna.windows.window import Window
from model.data.description import DatasetDescription
from model.data.label_tables import LabelTable
from model.data.reading import find_colors


class LabelRaster:
    """Labels in a raster, whose no-data value means unknown. One thread at a time may use it.

    Args:
        path: of the file.
        description: of the data set.

    Attributes:
        grid: of the labels.

    Raises:
        InvalidImageError: if it cannot be read, holds fractions, or has several bands that are no
            colours.
    """

    def __init__(self, path: Path, description: DatasetDescription) -> None:
        self._source = open_raster(path, alpha="no")
        self.grid: Grid = self._source.grid
        count, band = len(self._source.bands), self._source.bands[0]
        self._is_colored = description.labels == "colors"
        if count != 1 and not self._is_colored:
            raise InvalidImageError(f"labels must have one channel; there are {count}")
        if np.dtype(band.dtype).kind not in "iu":
            raise InvalidImageError(f"labels must be whole numbers; they are {band.dtype}")
        self._table = LabelTable(description, find_unknown(band.nodata))

    @property
    def faults(self) -> tuple[str, ...]:
        """Labels in all windows that were read which are in no table."""
        fault = self._table.describe_unknown()
        return (fault,) if fault else ()

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the labels of a window.

        Args:
            window: inside the raster.

        Returns:
            uint8 (H, W), class ids, or `IGNORE_LABEL`.
        """
        if self._is_colored:
            return self._table.look_up(find_colors(self._source.read(window)))
        return self._table.look_up(self._source.read_samples(window).values[:, :, 0])


def find_unknown(nodata: float | None) -> int | None:
    """Return a no-data value that a label can have; None if there is none."""
    return None if nodata is None or nodata != nodata // 1 else int(nodata)
