"""A decoded image, before it is fitted to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.georeference import GeoTiffTags
from lacuna.raster.bands import BandChoice

KEPT_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True, eq=False)
class Raster:
    """An image as its file holds it.

    Attributes:
        values: uint8, uint16 or float32 (H, W, C), H, W and C ≥ 1, in the file's own units.
        valid: bool (H, W), True = the file says that this pixel holds data (alpha, a transparent
            colour, a transparency mask); None if the file says nothing about it.
        has_data: bool (H, W), True = the pixel does not hold the no-data value that the file names;
            None if it names none.
        full_scale: the value that means white in a picture with integer samples; None for arrays
            and floating-point pictures, which carry numbers rather than intensities.
        is_binary: there is one channel, and it was saved as booleans; not all who write these write
            0 and 1.
        white_is_zero: the file stored 0 for white, and the values were inverted; for masks, which
            are numbers, that has to be undone.
        is_lossy: the file was compressed with loss, so that values come back changed a little; None
            if it does not tell.
        is_turned: height and width were swapped, as the orientation in the file says.
        stored: (H, W, S), the numbers in the file, which no-data values are compared with; None
            where `values` are these.
        georeference: where the image lies, as the file says; None if it does not.
        band_names: descriptions of the channels, as the file gives them, empty where a channel has
            none; no entry at all if the file names none.
        bands: bands of the file that were read; None if it has only channels, and these are all.
        hides_nodata: the file names a no-data value that cannot be read.
        doubts: what may be wrong about how the file was read, for people, in ASCII.

    Raises:
        ValueError: if the arrays do not have these shapes and dtypes.
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_] | None = None
    full_scale: float | None = None
    has_data: NDArray[np.bool_] | None = None
    white_is_zero: bool = False
    is_binary: bool = False
    is_lossy: bool | None = False
    is_turned: bool = False
    stored: NDArray[Any] | None = None
    georeference: GeoTiffTags | None = None
    band_names: tuple[str, ...] = ()
    bands: BandChoice | None = None
    hides_nodata: bool = False
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or 0 in self.values.shape:
            raise ValueError(f"values must be (H, W, C), none of them 0; are {self.values.shape}")
        if self.values.dtype not in KEPT_DTYPES:
            raise ValueError(f"values must be uint8, uint16 or float32; are {self.values.dtype}")
        if self.valid is not None and (
            self.valid.shape != self.values.shape[:2] or self.valid.dtype != np.bool_
        ):
            raise ValueError(
                f"valid must be bool of shape {self.values.shape[:2]}; "
                f"it is {self.valid.dtype} {self.valid.shape}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def channels(self) -> int:
        """Number of channels, alpha not among them."""
        return int(self.values.shape[2])


def make_raster(values: NDArray[Any], stored: NDArray[Any] | None = None, **facts: Any) -> Raster:
    """Make a raster of numbers of any real dtype.

    Args:
        values: (H, W, C).
        stored: the numbers in the file, if `values` were made of these.
        **facts: other attributes of the raster.
    """
    narrowed = np.ascontiguousarray(narrow(values))
    is_exact = values.dtype.kind == "b" or values.dtype.newbyteorder("=") in KEPT_DTYPES
    return Raster(narrowed, stored=values if stored is None and not is_exact else stored, **facts)


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Bring numbers of any real dtype to the nearest one that a model takes.

    Args:
        values: any shape; bool, integer or floating point, in any byte order.

    Returns:
        uint8 for bool and uint8, uint16 for uint16, float32 for everything else. What is beyond
        float32 becomes infinite, and so counts as missing later on.
    """
    if values.dtype == np.bool_:
        return values.view(np.uint8)
    if values.dtype in KEPT_DTYPES:
        return values
    native = values.dtype.newbyteorder("=")
    with np.errstate(over="ignore"):
        return values.astype(native if native in KEPT_DTYPES else np.float32, copy=False)
