"""Rasters that GDAL writes, and the real ones that tests read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

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


@contextmanager
def quiet() -> Iterator[None]:
    """Let rasterio open rasters without a place on Earth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
