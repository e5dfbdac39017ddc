# ruff: noqa: INP001 (a script)
"""A GeoTIFF of noise, and the check that an answer lies where it does. For .ci/exercise-image.

python geotiff.py draw > scene.tif
python geotiff.py check < labels.tif
"""

import sys

import numpy as np
from rasterio.io import MemoryFile
from rasterio.transform import Affine

PLACE = {"crs": "EPSG:32618", "transform": Affine(10, 0, 500_000, 0, -10, 4_000_000)}
HEIGHT, WIDTH, BANDS = 300, 400, 3


def draw() -> bytes:
    """Draw the image."""
    values = np.random.default_rng(0).integers(0, 256, (BANDS, HEIGHT, WIDTH), np.uint8)
    with MemoryFile() as file:
        options = {"driver": "GTiff", "count": BANDS, "height": HEIGHT, "width": WIDTH}
        with file.open(dtype="uint8", **options, **PLACE) as dataset:
            dataset.write(values)
        return bytes(file.read())


def check(answer: bytes) -> None:
    """Check the answer."""
    with MemoryFile(answer) as file, file.open() as dataset:
        assert dataset.shape == (HEIGHT, WIDTH), dataset.shape  # noqa: S101
        assert dataset.crs == PLACE["crs"], dataset.crs  # noqa: S101
        assert dataset.transform == PLACE["transform"], dataset.transform  # noqa: S101
        assert dataset.nodata == 255, dataset.nodata  # noqa: S101


if sys.argv[1] == "draw":
    sys.stdout.buffer.write(draw())
else:
    check(sys.stdin.buffer.read())
