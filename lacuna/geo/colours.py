"""Colours of a raster as its bands store them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.raster.colours import to_intensities

CMYK = ("cyan", "magenta", "yellow", "black")
"""GDAL's colour interpretations of inks."""

_INDEXED = ("uint8", "uint16")
_BLACK_AND_WHITE = {0: (0, 0, 0), 1: (255, 255, 255)}


@dataclass(frozen=True, eq=False)
class Colours:
    """Relation of stored numbers to values, as in the in-memory reader of TIFF.

    Attributes:
        bits: bits of a number in the file.
        white_is_zero: 0 is white and the highest value is black.
        is_cmyk: the channels are four inks.
        palette: uint8 (N, 4), red, green, blue and alpha of each index; None if the numbers are
            no indices.
        is_lossy: the file was compressed with loss; None if it does not tell.
    """

    bits: int
    white_is_zero: bool = False
    is_cmyk: bool = False
    palette: NDArray[np.uint8] | None = None
    is_lossy: bool | None = False

    @property
    def has_transparency(self) -> bool:
        """Whether an index of the palette is transparent."""
        return self.palette is not None and not self.palette[:, 3].all()

    def find_opaque(self, indices: NDArray[Any]) -> NDArray[np.bool_]:
        """Find the pixels (H, W) whose indices (H, W, 1) are not transparent."""
        if self.palette is None:
            raise ValueError("numbers without a palette have no transparency")
        return np.asarray(self.palette[indices[:, :, 0], 3] > 0, np.bool_)

    def convert(self, stored: NDArray[Any]) -> tuple[NDArray[Any], float | None]:
        """Return the values of stored numbers, and the one that means white; None for numbers.

        Args:
            stored: (H, W, S) of a real dtype.
        """
        if self.palette is not None:
            return self.palette[stored[:, :, 0], :3], 255.0
        return to_intensities(
            stored, self.bits, white_is_zero=self.white_is_zero, is_cmyk=self.is_cmyk
        )


def read_colours(dataset: Any, numbers: Sequence[int]) -> Colours:
    """Read how bands of a rasterio dataset store colours.

    Args:
        dataset: open for reading.
        numbers: of the bands that are the channels, from 1.
    """
    first = numbers[0]
    dtype = np.dtype(dataset.dtypes[first - 1])
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    depth = dataset.tags(first, ns="IMAGE_STRUCTURE").get("NBITS") or structure.get("NBITS")
    bits = int(depth or 8 * dtype.itemsize)
    white_is_zero = structure.get("MINISWHITE") == "YES"
    return Colours(
        bits,
        white_is_zero=white_is_zero,
        is_cmyk=tuple(dataset.colorinterp[number - 1].name for number in numbers) == CMYK,
        # GDAL has a palette for white-is-zero, and for one bit, too.
        palette=None if white_is_zero or len(numbers) > 1 else _read_palette(dataset, first, bits),
        is_lossy=is_lossy(dataset),
    )


def is_lossy(dataset: Any) -> bool | None:
    """Return whether a raster was compressed with loss, as JPEG does; None if it does not tell."""
    if dataset.driver == "JPEG":
        return True
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    if dataset.driver.startswith("JP2"):
        return structure.get("COMPRESSION_REVERSIBILITY") == "LOSSY" or None
    return "JPEG" in structure.get("COMPRESSION", "").split()


def _read_palette(dataset: Any, number: int, bits: int) -> NDArray[np.uint8] | None:
    dtype = dataset.dtypes[number - 1]
    if dataset.colorinterp[number - 1].name != "palette" or dtype not in _INDEXED:
        return None
    entries = dataset.colormap(number)
    if bits == 1 and {index: color[:3] for index, color in entries.items()} == _BLACK_AND_WHITE:
        return None
    palette = np.full((np.iinfo(dtype).max + 1, 4), (0, 0, 0, 255), np.uint8)
    palette[list(entries)] = list(entries.values())
    nodata = dataset.nodatavals[number - 1]
    if nodata in entries:
        palette[int(nodata), 3] = (
            255  # GDAL makes it transparent, but a value given takes its place
        )
    return palette
