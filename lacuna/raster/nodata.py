"""No-data values: numbers that stand for missing pixels.

They are compared with the numbers that a file stores, before these are narrowed or become colours,
as GDAL compares them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lacuna.excerpts import quote

NoData: TypeAlias = float | Literal["none"]
"""Value of missing pixels, which may be NaN, in place of those that the file names; "none" for no
such value at all."""

NO_NODATA: Literal["none"] = "none"

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")


def parse_nodata(value: object) -> NoData:
    """Parse a no-data value from text or JSON.

    Args:
        value: a number, a text of one, or "none" in any case.

    Returns:
        int for whole numbers: float64 does not hold all integers of 64 bits.

    Raises:
        ValueError: if it is another text.
        TypeError: if it is anything else.
        OverflowError: if it is an integer beyond float64.
    """
    if isinstance(value, str):
        text = value.strip().lower()
        if text == NO_NODATA:
            return NO_NODATA
        return int(text) if _INTEGER.fullmatch(text) else float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a no-data value must be a number or {NO_NODATA}; it is {quote(value)}")
    float(value)  # an integer of 400 digits stands for no pixel
    return value


def equals_nodata(values: NDArray[Any], nodata: float | Sequence[float]) -> NDArray[np.bool_]:
    """Find the pixels whose channels all hold the no-data value.

    Args:
        values: (H, W, C), integer or floating point.
        nodata: one value for all channels or one for each; may be NaN. A value that the dtype
            cannot hold is found nowhere.

    Returns:
        bool (H, W), True = no data.
    """
    channels = values.shape[2]
    wanted = nodata if isinstance(nodata, Sequence) else [nodata] * channels
    # Channel by channel: a reduction over so short an axis takes eight times as long.
    found = _equals(values[:, :, 0], wanted[0])
    for channel in range(1, channels):
        found &= _equals(values[:, :, channel], wanted[channel])
    return found


def _equals(values: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            wanted = values.dtype.type(nodata)
        return np.asarray(np.isnan(values) if np.isnan(wanted) else values == wanted, np.bool_)
    if values.dtype.kind == "b":
        return values == bool(nodata) if nodata in (0, 1) else np.zeros_like(values)
    if float(nodata).is_integer() and _holds(values.dtype, int(nodata)):
        # As an integer of the same dtype: a Python float would turn the whole image into float64.
        return np.asarray(values == values.dtype.type(int(nodata)), np.bool_)
    return np.zeros(values.shape, np.bool_)


def _holds(dtype: np.dtype[Any], number: int) -> bool:
    bounds = np.iinfo(dtype)
    return int(bounds.min) <= number <= int(bounds.max)
