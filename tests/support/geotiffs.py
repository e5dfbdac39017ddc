"""GeoTIFFs, written by GDAL itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.transform import Affine

UTM = "EPSG:32618"
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 4_000_000)


def geotiff_file(
    values: NDArray[Any],
    crs: Any = UTM,
    transform: Affine | None = NORTH_UP,
    driver: str = "GTiff",
    ext: str = ".tif",
    **options: Any,
) -> bytes:
    """Write an image.

    Args:
        values: (H, W) or (H, W, C).
        crs: as rasterio takes it; None for none.
        transform: from columns and rows to coordinates; None for none.
        driver: of GDAL.
        ext: suffix of the file, which some drivers look at.
        **options: other arguments of rasterio.
    """
    bands = np.moveaxis(values if values.ndim == 3 else values[:, :, None], 2, 0)
    count, height, width = bands.shape
    with warnings.catch_warnings(), MemoryFile(ext=ext) as file:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with file.open(
            driver=driver,
            count=count,
            height=height,
            width=width,
            dtype=bands.dtype,
            crs=crs,
            transform=transform,
            **options,
        ) as dataset:
            dataset.write(bands)
        return bytes(file.read())
