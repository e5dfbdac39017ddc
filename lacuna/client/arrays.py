"""Arrays as the client takes them: shapes, dtypes, and masked arrays.

A masked array is `numpy.ma.MaskedArray`, or another subclass of `numpy.ndarray` whose attribute
`mask` is True where a value is missing, as in astropy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError, InvalidMaskError
from lacuna.raster.arrays import MASK_CHANNELS
from lacuna.raster.limits import ImageLimits

CHANNELS_LAST = "did you mean numpy.moveaxis(image, 0, -1)?"
"""Hint for an image whose first axis seems to be that of its channels."""

_MOST_CHANNELS = ImageLimits().image_channels
_REAL_KINDS = "biuf"
_WIDEST_BYTES = 8


def split_masked(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the values of an array, and where they are missing.

    Args:
        array: any array, masked or not.

    Returns:
        A plain array, which shares its values; and bool of the same shape, True = missing, or None
        if no value is.
    """
    if type(array) is np.ndarray:
        return array, None
    values = np.asarray(array)
    if not is_masked(array) or values.dtype.kind not in _REAL_KINDS:
        return values, None
    missing = np.asarray(getattr(array, "mask"), np.bool_)  # noqa: B009 (ndarray has none)
    return values, np.broadcast_to(missing, values.shape) if missing.any() else None


def is_masked(array: NDArray[Any]) -> bool:
    """Return whether an array is a masked one."""
    return type(array) is not np.ndarray and hasattr(array, "mask")


def read_image_array(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the values of an image and its valid pixels.

    Args:
        image: (H, W), (H, W, C) or (1, H, W, C) real numbers. A pixel of a masked array is valid if
            none of its channels is masked.

    Returns:
        (H, W) or (H, W, C), which shares the image's values; and bool (H, W), True = valid, or None
        if the array is not masked anywhere.

    Raises:
        InvalidImageError: if it has another shape or other numbers, or if its first axis seems to
            be that of the channels.
    """
    values, missing = split_masked(image)
    if values.dtype.kind not in _REAL_KINDS:
        raise InvalidImageError(f"an image must hold real numbers; it holds {values.dtype}")
    is_batch = values.ndim == 4
    values, missing = _drop_batch_axis(values, missing)
    if values.ndim not in (2, 3):
        raise InvalidImageError(
            f"an array must be (H, W), (H, W, C) or (1, H, W, C); it is {values.shape}"
        )
    if not is_batch and values.ndim == 3 and len(values) <= _MOST_CHANNELS < values.shape[2]:
        raise make_axis_error(values)
    if values.dtype.itemsize > _WIDEST_BYTES:
        values = values.astype(np.float64)
    if missing is None:
        return values, None
    return values, np.logical_not(missing if missing.ndim == 2 else missing.any(axis=2))


def _drop_batch_axis(
    values: NDArray[Any], missing: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the only array of a batch of one; other arrays as they are."""
    if values.ndim != 4 or len(values) != 1:
        return values, missing
    return values[0], None if missing is None else missing[0]


def read_mask_array(mask: NDArray[Any], size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Return the valid pixels of a mask.

    Args:
        mask: (H, W), (1, H, W), (H, W, C) or (1, H, W, C) real numbers, non-zero = valid; all
            channels equal. In a masked array, what is masked is not valid.
        size: height and width of the image; None if they are not known.

    Returns:
        bool (H, W), True = valid.

    Raises:
        InvalidMaskError: if it has another shape, channels that differ, other numbers, or NaN.
    """
    values, missing = split_masked(mask)
    if values.dtype.kind not in _REAL_KINDS:
        raise InvalidMaskError(f"mask must hold real numbers; it holds {values.dtype}")
    if _is_batch_of_one(values.shape, size):
        values, missing = values[..., None], None if missing is None else missing[..., None]
    values, missing = _drop_batch_axis(values, missing)
    if values.ndim not in (2, 3):
        raise InvalidMaskError(
            f"mask must be (H, W), (1, H, W), (H, W, C) or (1, H, W, C); it is {values.shape}"
        )
    if size is not None:
        check_mask_size(size, values.shape)
    known = values if missing is None else np.where(missing, 0, values)
    if known.dtype.kind == "f" and np.isnan(known).any():
        raise InvalidMaskError("mask must hold numbers; it holds NaN")
    valid = known if known.dtype == np.bool_ else np.not_equal(known, 0)
    return valid if valid.ndim == 2 else _merge_channels(valid)


def _is_batch_of_one(shape: tuple[int, ...], size: tuple[int, int] | None) -> bool:
    """Return whether a mask is (1, H, W), and not (1, W, C) of a single row."""
    if len(shape) != 3 or shape[0] != 1:
        return False
    if size is None:
        return shape[2] not in MASK_CHANNELS
    return shape[1:] == size and shape[:2] != size


def check_mask_size(size: tuple[int, int], mask: tuple[int, ...]) -> None:
    """Hold a mask to the size of its image.

    Args:
        size: height and width of the image.
        mask: shape of the mask, (H, W) or (H, W, C).

    Raises:
        InvalidMaskError: if they differ.
    """
    if mask[:2] == size:
        return
    hint = ""
    if mask == size[::-1]:
        hint = "; did you mean mask.T?"
    elif mask[1:] == size:
        hint = "; did you mean mask.all(axis=0)?"
    found = f"{mask[0]}×{mask[1]}" if len(mask) == 2 else f"an array {mask}"
    raise InvalidMaskError(
        "mask must have the image's height and width; "
        f"image is {size[0]}×{size[1]}, mask is {found}{hint}"
    )


def fill_missing(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return a copy of an image whose invalid pixels are 0.

    Args:
        values: (H, W) or (H, W, C).
        valid: bool (H, W), True = valid.
    """
    filled = values.copy()
    filled[~valid] = 0
    return filled


def mark_missing(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return a copy of an image whose invalid pixels are NaN.

    Args:
        values: (H, W) or (H, W, C).
        valid: bool (H, W), True = valid.

    Returns:
        The same numbers, as float32 or float64.
    """
    marked = values.astype(np.result_type(values.dtype, np.float32))
    marked[~valid] = np.nan
    return marked


def seems_channels_first(image: NDArray[Any]) -> bool:
    """Return whether the first axis of an image may be that of its channels: it is the shortest."""
    return image.ndim == 3 and len(image) < min(image.shape[1:])


def make_axis_error(image: NDArray[Any]) -> InvalidImageError:
    """Return the error of an image whose first axis is that of its channels."""
    return InvalidImageError(
        f"an array must be (H, W) or (H, W, C), channels last; it is {image.shape}: {CHANNELS_LAST}"
    )


def _merge_channels(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if (valid != valid[:, :, :1]).any():
        raise InvalidMaskError(
            f"mask must have one channel, or equal ones; it has {valid.shape[2]} that differ: "
            "did you mean mask.all(axis=-1)?"
        )
    return np.asarray(valid.all(axis=2), np.bool_)
