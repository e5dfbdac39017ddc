"""Rasters that GDAL writes, and the real ones that tests read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning
from rasterio.io import MemoryFile

REAL_FOLDER = Path(__file__).parents[3] / "shared" / "data" / "rasters"
"""Real GeoTIFFs beside the checkout; they are not everywhere."""


def find_real_rasters() -> list[Any]:
    """Return the real GeoTIFFs as parameters of a test; one that is skipped if there are none."""
    paths = sorted(REAL_FOLDER.glob("*.tif"))
    skipped = pytest.param(None, marks=pytest.mark.skip(reason=f"{REAL_FOLDER} is not there"))
    return [pytest.param(path, id=path.name) for path in paths] or [skipped]


def write_raster(
    path: Path,
    values: NDArray[Any],
    *,
    interpretations: tuple[ColorInterp, ...] = (),
    mask: NDArray[np.bool_] | None = None,
    tags: dict[str, str] | None = None,
    names: tuple[str, ...] = (),
    internal_mask: bool = True,
    **profile: Any,
) -> Path:
    """Write a raster as GDAL does.

    Args:
        path: the file.
        values: (B, H, W).
        interpretations: colours of the bands, in place of those that GDAL takes.
        mask: bool (H, W), True = valid: a mask of GDAL.
        tags: metadata of the file.
        names: descriptions of the bands.
        internal_mask: whether the mask is in the file, or beside it.
        **profile: further arguments of `rasterio.open`.
    """
    bands, height, width = values.shape
    options = {"driver": "GTiff", "count": bands, "height": height, "width": width}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal_mask),
        quiet(),
        rasterio.open(path, "w", **(options | {"dtype": values.dtype} | profile)) as file,
    ):
        if interpretations:
            file.colorinterp = interpretations
        file.update_tags(**(tags or {}))
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
        file.write(values)
        if mask is not None:
            file.write_mask(mask)
    return path


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
    with quiet(), MemoryFile() as memory:
        with memory.open(driver="GTiff", **size, **options) as dataset:
            if colours:
                dataset.colorinterp = [ColorInterp[name] for name in colours]
            if names:
                dataset.descriptions = list(names)
            dataset.write(np.moveaxis(values, 2, 0))
        return bytes(memory.getbuffer())


def convert(data: bytes, driver: str, **options: Any) -> bytes:
    """The file that GDAL writes of another one, by a driver that only copies."""
    with quiet(), MemoryFile(data) as memory, MemoryFile() as copy, memory.open() as dataset:
        rasterio.shutil.copy(dataset, copy.name, driver=driver, **options)
        return bytes(copy.getbuffer())


def read_with_gdal(data: bytes) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The values (H, W, C) of a file, and its valid pixels (H, W), as GDAL reads them."""
    with quiet(), MemoryFile(data) as memory, memory.open() as dataset:
        return np.moveaxis(dataset.read(), 0, 2), dataset.dataset_mask() > 0


@contextmanager
def quiet() -> Iterator[None]:
    """Let rasterio open rasters without a place on Earth, and with alpha and a no-data value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NodataShadowWarning)
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
