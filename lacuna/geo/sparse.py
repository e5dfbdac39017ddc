"""Blocks that a sparse GeoTIFF leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from lacuna.windows.window import Window


def holds_block(dataset: Any, numbers: Sequence[int], window: Window) -> bool:
    """Return whether a file holds a block of a window.

    Args:
        dataset: rasterio dataset, open for reading.
        numbers: of the bands that count, from 1.
        window: inside the raster.

    Returns:
        True where nobody can tell: for other formats than TIFF, and for blocks of one row. GDAL
        shows a high strip that is all of an image as such blocks, and knows where the first is.
    """
    if dataset.driver != "GTiff":
        return True
    height, width = dataset.block_shapes[0]
    if height == 1:
        return True
    rows = range(window.top // height, -(-(window.top + window.height) // height))
    columns = range(window.left // width, -(-(window.left + window.width) // width))
    is_mixed = dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL"
    return any(
        dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=number) is not None
        for number, row, column in product(numbers[:1] if is_mixed else numbers, rows, columns)
    )
