"""A decoded image, before it is fitted to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.raster.georeference import Georeference

KEPT_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True, eq=False)
class Raster:
    """An image as its file holds it.

    Attributes:
        values: uint8, uint16 or float32 (H, W, C), H, W and C ≥ 1, in the file's own units.
        valid: bool (H, W), True = the file says that this pixel holds data (alpha, a transparent
            colour, a no-data value); None if the file says nothing about it.
        full_scale: the value that means white in a picture with integer samples; None for arrays
            and floating-point pictures, which carry numbers rather than intensities.
        is_binary: there is one channel, and it was saved as booleans; not all who write these write
            0 and 1.
        white_is_zero: the file stored 0 for white, and the values were inverted; for masks, which
            are numbers, that has to be undone.
        is_lossy: the file was compressed with loss, so that values come back changed a little.
        wide_values: the numbers that `values` were narrowed from, where that may have changed them:
            no-data values are compared with these. None where `values` are the numbers stored.
        georeference: where the image lies, as the file says; None if it does not.
        band_names: descriptions of the channels, as the file gives them, empty where a channel has
            none; no entry at all if the file names none.

    Raises:
        ValueError: if the arrays do not have these shapes and dtypes.
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_] | None = None
    full_scale: float | None = None
    white_is_zero: bool = False
    is_binary: bool = False
    is_lossy: bool = False
    wide_values: NDArray[Any] | None = None
    georeference: Georeference | None = None
    band_names: tuple[str, ...] = ()

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


def make_raster(values: NDArray[Any], **facts: Any) -> Raster:
    """Make a raster of numbers of any real dtype.

    Args:
        values: (H, W, C).
        **facts: other attributes of the raster.
    """
    narrowed = np.ascontiguousarray(narrow(values))
    is_exact = values.dtype.kind == "b" or values.dtype.newbyteorder("=") in KEPT_DTYPES
    return Raster(narrowed, wide_values=None if is_exact else values, **facts)


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


def equals_nodata(values: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    """Find the pixels whose channels all hold the no-data value.

    Args:
        values: (H, W, C), integer or floating point.
        nodata: may be NaN; a value that the dtype cannot hold is found nowhere.

    Returns:
        bool (H, W), True = no data.
    """
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            wanted = values.dtype.type(nodata)
        hits = np.isnan(values) if np.isnan(nodata) else values == wanted
    elif values.dtype.kind == "b":
        hits = values == bool(nodata) if nodata in (0, 1) else np.zeros_like(values)
    elif float(nodata).is_integer() and _holds(values.dtype, int(nodata)):
        # As an integer of the same dtype: a Python float would turn the whole image into float64.
        hits = values == values.dtype.type(int(nodata))
    else:
        return np.zeros(values.shape[:2], np.bool_)
    return np.asarray(hits.all(axis=2), np.bool_)


def _holds(dtype: np.dtype[Any], number: int) -> bool:
    bounds = np.iinfo(dtype)
    return int(bounds.min) <= number <= int(bounds.max)


def split_alpha(samples: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Part colours from alpha, as picture formats order them.

    Args:
        samples: (H, W), or (H, W, C) of grey, grey and alpha, RGB, or RGBA.

    Returns:
        values (H, W, 1 or 3), and bool (H, W), alpha > 0, or None where there is no alpha.
    """
    if samples.ndim == 2:
        return samples[:, :, None], None
    if samples.shape[2] in (2, 4):
        return np.ascontiguousarray(samples[:, :, :-1]), samples[:, :, -1] > 0
    return samples, None
