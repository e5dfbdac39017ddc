"""GeoTIFFs and other rasters, written by GDAL."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile


def gdal_file(
    values: NDArray[Any], *, names: Sequence[str] = (), colours: Sequence[str] = (), **options: Any
) -> bytes:
    """A GeoTIFF that GDAL writes.

    Args:
        values: (H, W, C).
        names: descriptions of the bands.
        colours: their colour interpretations, in GDAL's words.
        **options: of the profile, and of the driver.
    """
    height, width, count = values.shape
    size = {"height": height, "width": width, "count": count, "dtype": values.dtype.name}
    with _quietly(), MemoryFile() as memory:
        with memory.open(driver="GTiff", **size, **options) as dataset:
            if colours:
                dataset.colorinterp = [ColorInterp[name] for name in colours]
            if names:
                dataset.descriptions = list(names)
            dataset.write(np.moveaxis(values, 2, 0))
        return bytes(memory.getbuffer())


def convert(data: bytes, driver: str, **options: Any) -> bytes:
    """The file that GDAL writes of another one, by a driver that only copies."""
    with _quietly(), MemoryFile(data) as memory, MemoryFile() as copy, memory.open() as dataset:
        rasterio.shutil.copy(dataset, copy.name, driver=driver, **options)
        return bytes(copy.getbuffer())


def read_with_gdal(data: bytes) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The values (H, W, C) of a file, and its valid pixels (H, W), as GDAL reads them."""
    with _quietly(), MemoryFile(data) as memory, memory.open() as dataset:
        return np.moveaxis(dataset.read(), 0, 2), dataset.dataset_mask() > 0


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
