"""Label rasters that are read by windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError
from lacuna.geo.grid import Grid
from lacuna.geo.source import open_raster
from lacuna.windows.window import Window
from model.labels import IGNORE_LABEL


class LabelRaster:
    """Labels in a raster, whose no-data value means unknown. One thread at a time may use it.

    Args:
        path: of the file.

    Attributes:
        faults: none; unknown class ids are those of windows.
        grid: of the labels.
        nodata: the no-data value, if it is a whole number.

    Raises:
        InvalidImageError: if it cannot be read, has several bands, or holds fractions.
    """

    faults: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._source = open_raster(path, alpha="no")
        self.grid: Grid = self._source.grid
        count, band = len(self._source.bands), self._source.bands[0]
        if count != 1:
            raise InvalidImageError(f"labels must have one channel; there are {count}")
        if np.dtype(band.dtype).kind not in "iu":
            raise InvalidImageError(f"labels must be whole numbers; they are {band.dtype}")
        self.nodata = find_unknown(band.nodata)

    def read(self, window: Window) -> NDArray[Any]:
        """Return the labels of a window.

        Args:
            window: inside the raster.

        Returns:
            integer (H, W), class ids, or `IGNORE_LABEL`.
        """
        return ignore_nodata(self._source.read_samples(window).values[:, :, 0], self.nodata)


def find_unknown(nodata: float | None) -> int | None:
    """Return a no-data value that a label can have; None if there is none."""
    return None if nodata is None or nodata != nodata // 1 else int(nodata)


def ignore_nodata(labels: NDArray[Any], nodata: int | None) -> NDArray[Any]:
    """Replace the no-data value of labels by `IGNORE_LABEL`."""
    if nodata is None:
        return labels
    wide = labels.astype(np.int16) if labels.dtype == np.int8 else labels
    return np.where(wide == nodata, wide.dtype.type(IGNORE_LABEL), wide)
