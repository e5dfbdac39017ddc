"""Colours of a raster as its bands store them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.raster.colours import to_intensities

CMYK = ("cyan", "magenta", "yellow", "black")
"""GDAL's colour interpretations of inks."""

_DIGITS = re.compile(r"[0-9]+")
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
    def makes_rgb(self) -> bool:
        """Whether the numbers of a pixel become red, green and blue."""
        # More than 16 bits are no intensities, whatever they are called.
        return self.palette is not None or (self.is_cmyk and self.bits <= 16)

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
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    depth = dataset.tags(first, ns="IMAGE_STRUCTURE").get("NBITS") or structure.get("NBITS")
    return Colours(
        int(depth or _DIGITS.findall(dataset.dtypes[first - 1])[-1]),
        white_is_zero=_is_inverted(dataset),
        is_cmyk=tuple(dataset.colorinterp[number - 1].name for number in numbers) == CMYK,
        palette=_read_palette(dataset, first) if _is_indexed(dataset, numbers) else None,
        is_lossy=is_lossy(dataset),
    )


def is_lossy(dataset: Any) -> bool | None:
    """Return whether a raster was compressed with loss, as JPEG does; None if it does not tell."""
    if dataset.driver == "JPEG":
        return True
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    if dataset.driver.startswith("JP2"):
        return structure.get("COMPRESSION_REVERSIBILITY") == "LOSSY" or None
    compression = structure.get("COMPRESSION", "")
    if compression.startswith(("WEBP", "LERC")):
        return None
    return compression in ("JPEG", "YCbCr JPEG")


def read_interpretations(dataset: Any) -> tuple[str, ...]:
    """Return the colour interpretation of each band, in GDAL's words.

    GDAL takes white-is-zero, and one bit of black and white, for palettes; they are grey.
    """
    names = tuple(colour.name for colour in dataset.colorinterp)
    return ("gray",) if names == ("palette",) and not _is_indexed(dataset, [1]) else names


def _is_indexed(dataset: Any, numbers: Sequence[int]) -> bool:
    """Return whether the channels are indices of a palette."""
    first = numbers[0] - 1
    if len(numbers) > 1 or dataset.colorinterp[first].name != "palette":
        return False
    if dataset.dtypes[first] not in _INDEXED or _is_inverted(dataset):
        return False
    entries = dataset.colormap(numbers[0]).items()
    return {index: color[:3] for index, color in entries} != _BLACK_AND_WHITE


def _is_inverted(dataset: Any) -> bool:
    return bool(dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES")


def _read_palette(dataset: Any, number: int) -> NDArray[np.uint8]:
    entries = dataset.colormap(number)
    highest = np.iinfo(dataset.dtypes[number - 1]).max
    palette = np.full((highest + 1, 4), (0, 0, 0, 255), np.uint8)
    palette[list(entries)] = list(entries.values())
    nodata = dataset.nodatavals[number - 1]
    if nodata in entries:
        palette[int(nodata), 3] = (
            255  # GDAL makes it transparent, but a value given takes its place
        )
    return palette
