"""Filling of the missing pixels of an image from the valid ones around them, as is common practice.

Each function takes an image (H, W, C), finite also where pixels are missing, and its mask, bool
(H, W), True = valid, with at least one valid and one missing pixel. It returns an image in which
the missing pixels are filled; what it returns at the valid ones does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lacuna.distribution import describe_extra
from lacuna.errors import MissingExtraError
from model.triangles import interpolate

FillFunction = Callable[[NDArray[Any], NDArray[np.bool_]], NDArray[Any]]

_TELEA_RADIUS = 3
"""Pixels around a missing one that Telea's method averages, as in OpenCV's own examples."""

_WHITE = 255


def find_fill(name: str) -> FillFunction:
    """Return a function that fills images, by its name in `FILLS_OF_GAPS`.

    Raises:
        ValueError: if there is none of this name.
        MissingExtraError: if it needs an extra that is not installed.
    """
    if name not in FILLS_OF_GAPS:
        raise ValueError(f"`fill` must be one of {', '.join(FILLS_OF_GAPS)}. Received: {name!r}")
    if name == "telea":
        _load_opencv()
    return FILLS_OF_GAPS[name]


def fill_images(fill: FillFunction, images: NDArray[Any], masks: NDArray[np.bool_]) -> NDArray[Any]:
    """Fill the missing pixels of a batch.

    Args:
        fill: from `find_fill`.
        images: (N, H, W, C); what stands under a missing pixel is never read, NaN included.
        masks: bool (N, H, W), True = valid.

    Returns:
        The images themselves if no pixel is missing. Otherwise a copy, with the same valid pixels,
        and 0 in an image without a valid pixel.
    """
    if masks.all():
        return images
    known = np.where(masks[..., None], images, images.dtype.type(0))
    for image, mask in zip(known, masks, strict=True):
        if mask.any() and not mask.all():
            image[~mask] = fill(image, mask)[~mask]
    return known


def fill_nearest(image: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Take the value of the nearest valid pixel, by Euclidean distance."""
    rows, columns = ndimage.distance_transform_edt(
        ~mask, return_distances=False, return_indices=True
    )
    return image[rows, columns]


def fill_linear(image: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Interpolate linearly between the valid pixels that adjoin missing ones.

    These are the corners of Delaunay's triangles. A pixel in no triangle takes the value of the
    nearest valid one.
    """
    filled = fill_nearest(image, mask)
    beside = mask & ndimage.binary_dilation(~mask, np.ones((3, 3), np.bool_))
    corners = np.argwhere(beside)
    if np.linalg.matrix_rank(corners - corners[0]) < 2:  # on one line, which spans no triangle
        return filled
    inside, values = interpolate(corners, image[beside], (mask.shape[0], mask.shape[1]))
    filled[inside] = values
    return filled


def fill_telea(image: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Inpaint by the fast marching method (Telea 2004), as OpenCV has it.

    Three channels of whole numbers of 8 bits are filled in one call, and others one by one. Each of
    these is brought to the range of 8 bits, because OpenCV's steps are in grey levels.
    """
    valid = image[mask]
    in_range = valid.min() >= 0 and valid.max() <= _WHITE
    if image.shape[2] == 3 and in_range and (valid == np.rint(valid)).all():
        return _inpaint(image.astype(np.uint8), mask)
    filled = np.empty_like(image)
    for channel, (low, high) in enumerate(zip(valid.min(axis=0), valid.max(axis=0), strict=True)):
        scale = (high - low) / _WHITE or 1
        scaled = ((image[..., channel] - low) / scale).astype(np.float32)
        filled[..., channel] = _inpaint(scaled, mask) * scale + low
    return filled


FILLS_OF_GAPS: Mapping[str, FillFunction] = MappingProxyType(
    {"nearest": fill_nearest, "telea": fill_telea, "linear": fill_linear}
)


def _inpaint(image: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    cv2 = _load_opencv()
    missing = (~mask).astype(np.uint8)
    return np.asarray(cv2.inpaint(image, missing, _TELEA_RADIUS, cv2.INPAINT_TELEA))


def _load_opencv() -> Any:
    try:
        import cv2  # noqa: PLC0415 (in an extra of its own)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the fill telea needs the extra `compare`: {describe_extra('compare')}"
        ) from error
    return cv2
