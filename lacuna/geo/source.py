"""Rasters of any size that GDAL opens, read window by window."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as GdalWindow

from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.raster.raster import Raster, make_raster
from lacuna.windows.tiling import Window


@dataclass(frozen=True)
class Band:
    """A band of a raster, as its file describes it.

    Attributes:
        number: from 1.
        name: its description; empty if it has none.
        dtype: name of the dtype of its numbers: "uint8".
        interpretation: its colour interpretation in GDAL's words: "red", "undefined".
        nodata: value of missing pixels; None if it has none.
        scale: factor from its numbers to its unit.
        offset: what is added after that.
    """

    number: int
    name: str
    dtype: str
    interpretation: str
    nodata: float | None
    scale: float
    offset: float


class RasterSource:
    """Open raster. One thread at a time may use it."""

    def __init__(self, dataset: Any, name: str, chosen: tuple[Band, ...]) -> None:
        self._dataset = dataset
        self.name = name
        self.grid = Grid.of(dataset)
        self.bands = describe_bands(dataset)
        self.chosen = chosen or self.bands

    @cached_property
    def block_shape(self) -> tuple[int, int]:
        """Height and width of the blocks in which the file is stored, in pixels."""
        height, width = self._dataset.block_shapes[0]
        return height, width

    @cached_property
    def tags(self) -> Mapping[str, str]:
        """Metadata of the file."""
        return dict(self._dataset.tags())

    def read(self, window: Window) -> Raster:
        """Read a window."""
        values: NDArray[Any] = np.empty(
            (window.height, window.width, len(self.chosen)), self.chosen[0].dtype
        )
        with gdal(f"raster must be whole and undamaged; {self.name} is not"):
            self._dataset.read(
                [band.number for band in self.chosen],
                window=GdalWindow(window.left, window.top, window.width, window.height),
                out=np.moveaxis(values, 2, 0),
            )
            valid = self._dataset.dataset_mask(
                window=GdalWindow(window.left, window.top, window.width, window.height)
            )
        return make_raster(values, has_data=valid > 0)

    def may_hold_data(self, window: Window) -> bool:
        """Return whether a window may hold valid pixels."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def __enter__(self) -> RasterSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_raster(
    path: str | os.PathLike[str],
    *,
    bands: Sequence[int | str] | None = None,
    alpha: Literal["auto", "yes", "no"] = "auto",
    scale: bool = False,
) -> RasterSource:
    """Open a raster."""
    name = os.fspath(path)
    with gdal(f"raster must be a file or a name that GDAL opens; {name} is not"):
        dataset = rasterio.open(Path(path) if Path(path).exists() else name)
        return RasterSource(dataset, name, ())


def describe_bands(dataset: Any) -> tuple[Band, ...]:
    """Return the bands of a rasterio dataset."""
    return tuple(
        Band(
            number,
            dataset.descriptions[number - 1] or "",
            dataset.dtypes[number - 1],
            dataset.colorinterp[number - 1].name,
            dataset.nodatavals[number - 1],
            dataset.scales[number - 1],
            dataset.offsets[number - 1],
        )
        for number in dataset.indexes
    )
